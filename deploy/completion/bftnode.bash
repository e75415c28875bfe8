# bash completion for bftnode.
_bftnode() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    case $before in
        --role) COMPREPLY=($(compgen -W "usig primary replica voter gateway network" -- "$current")); return ;;
        --log-level) COMPREPLY=($(compgen -W "debug info warn error" -- "$current")); return ;;
    esac
    case $current in
        -*) COMPREPLY=($(compgen -W "$(bftnode --help 2>/dev/null | grep -oE '(^| |,)--[a-z0-9-]+' | tr -d ' ,' | sort -u)" -- "$current")) ;;
        *) COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}
complete -o filenames -F _bftnode bftnode
