// SPDX-License-Identifier: MIT
//
// Go beside this library, each program for a measure of tools/beside.
module deadline

go 1.19
