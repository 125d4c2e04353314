#compdef mdev
# The completion of bash, as zsh can use it.
autoload -U +X bashcompinit && bashcompinit
source /usr/share/bash-completion/completions/mdev
