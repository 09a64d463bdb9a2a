# SPDX-License-Identifier: MIT
# Completion for bash: commands, their options as their --help has them, processes,
# users, orders.

_deadline() {
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local words

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words=$(deadline --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$current")
		return
	fi
	case $before in
	-p|--pid)
		words=$(cd /proc && echo [0-9]*)
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
	-u|--user)
		mapfile -t COMPREPLY < <(compgen -u -- "$current") ;;
	-o|--output|--from|--record|--svg)
		mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
	--proc)
		mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
	-s|--sort)
		[ "${COMP_WORDS[1]}" != top ] || mapfile -t COMPREPLY < <(compgen -W \
			"expired rung late slots planned pending throttled" -- \
			"$current") ;;
	*)
		words=$(deadline "${COMP_WORDS[1]}" --help 2>/dev/null |
			grep -o -e '--[a-z][a-z-]*' | sort -u)
		mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$current") ;;
	esac
}
complete -F _deadline deadline
