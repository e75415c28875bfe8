# bash completion for bftctl: asks `bftctl --help`, so that it always fits.
_bftctl() {
    local current=${COMP_WORDS[COMP_CWORD]} word help below
    local command=()
    help=$(bftctl --help 2>/dev/null) || return 0
    below=$(sed -n '/^Subcommands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' <<<"$help")
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        grep -qxFe "$word" <<<"$below" || continue
        command+=("$word")
        help=$(bftctl "${command[@]}" --help 2>/dev/null) || return 0
        below=$(sed -n '/^Subcommands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' <<<"$help")
        [ -n "$below" ] || break
    done
    case $current in
        -*) COMPREPLY=($(compgen -W "$(grep -oE '(^| |,)--[a-z0-9-]+' <<<"$help" | tr -d ' ,' | sort -u)" -- "$current")) ;;
        *) if [ -n "$below" ]; then
               COMPREPLY=($(compgen -W "$below" -- "$current"))
           else
               COMPREPLY=($(compgen -f -- "$current"))
           fi ;;
    esac
}
complete -o filenames -F _bftctl bftctl
