#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Targets (sourced): the processors that a guest may have, and what goes by them.
# shellcheck disable=SC2034

host=$(dpkg --print-architecture)

# target NAME: have these variables be those of the kernel NAME, whose last word is
# the processor, as Debian calls it, if that is not the machine's own:
#
#	arch	the processor
#	series	NAME without it
#	foreign	not empty if the processor is not the machine's own
#	cross	then the prefix of the compilers, "" otherwise
#	karch	what kbuild calls it
#	qemu	the program that emulates it
#	machine	its options for the machine
#	console output verdict
#		three serial ports, by their names in the guest's /dev
#	ports	options for the last two, which write to -chardev of these names
target() {
	arch=$host series=$1
	case $1 in
	*-amd64|*-arm64)
		arch=${1##*-}
		series=${1%-*} ;;
	esac
	case $arch in
	amd64)
		cross=x86_64-linux-gnu- karch=x86_64
		qemu=qemu-system-x86_64 machine='-M pc'
		console=ttyS0 output=ttyS1 verdict=ttyS2
		ports='-serial chardev:output -serial chardev:verdict' ;;
	arm64)
		cross=aarch64-linux-gnu- karch=arm64
		qemu=qemu-system-aarch64 machine='-M virt -cpu neoverse-n1'
		console=ttyAMA0 output=ttyS0 verdict=ttyS1
		ports='-device pci-serial-2x,chardev1=output,chardev2=verdict' ;;
	*)
		echo "${0##*/}: no guests with a processor $arch" >&2
		exit 2 ;;
	esac
	foreign=$arch
	[ "$arch" != "$host" ] || foreign='' cross=''
}
