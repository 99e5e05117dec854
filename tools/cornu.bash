# Completion of the command line `cornu` in bash.
_cornu() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-}
    local commands="predict info convert plot diff check bench tune layers help" options=""
    # bash splits --name=value into three words.
    [[ $current == "=" ]] && current=""
    [[ $previous == "=" ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$current")
        return
    fi
    case $command in
        predict)
            options="--input --output --device --batch --precision --threads --outputs --training --seed --config
                --overwrite --json --help"
            ;;
        info) options="--json --variables --config --config-json --graph --batch --device --help" ;;
        convert) options="--to --dialect --shard-size --no-safe-mode --no-optimizer --config --overwrite --json --help" ;;
        plot) options="--output --show-shapes --no-shapes --expand-nested --rankdir --config --overwrite --help" ;;
        diff) options="--json --help" ;;
        check) options="--json --custom --help" ;;
        bench) options="--batch --device --precision --threads --shape --runs --profile --seed --save --config --overwrite --json --help" ;;
        tune) options="--batch --device --precision --shape --seconds --cache --seed --config --json --help" ;;
        layers) options="--json --help" ;;
        help)
            mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
            return
            ;;
    esac
    case $previous in
        --device) mapfile -t COMPREPLY < <(compgen -W "auto cpu cuda" -- "$current") ;;
        --precision) mapfile -t COMPREPLY < <(compgen -W "strict default tf32 bf16 fp16" -- "$current") ;;
        --rankdir) mapfile -t COMPREPLY < <(compgen -W "TB LR" -- "$current") ;;
        --to) mapfile -t COMPREPLY < <(compgen -W "keras keras-dir weights.h5 weights.json h5 h5-weights json npz" -- "$current") ;;
        --dialect) mapfile -t COMPREPLY < <(compgen -W "keras tf" -- "$current") ;;
        --shard-size | --batch | --threads | --seed | --seconds | --runs | --shape | --outputs | --custom) ;;
        *)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
            else
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            ;;
    esac
}
complete -F _cornu cornu
