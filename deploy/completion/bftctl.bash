# bash completion for bftctl: asks `bftctl --help`, so that it always fits.
_bftctl() {
    local current=${COMP_WORDS[COMP_CWORD]} command="" word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in -*) ;; *) command=$word; break ;; esac
    done
    local help
    help=$(bftctl ${command:+"$command"} --help 2>/dev/null) || return 0
    case $current in
        -*) COMPREPLY=($(compgen -W "$(grep -oE '(^| |,)--[a-z0-9-]+' <<<"$help" | tr -d ' ,' | sort -u)" -- "$current")) ;;
        *) if [ -z "$command" ]; then
               COMPREPLY=($(compgen -W "$(sed -n '/^Subcommands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' <<<"$help")" -- "$current"))
           else
               COMPREPLY=($(compgen -f -- "$current"))
           fi ;;
    esac
}
complete -o filenames -F _bftctl bftctl
