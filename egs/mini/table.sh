#!/usr/bin/env bash
# The rows of the table in docs/lasyn.md: what text brings by latent synthesis, beside what else can be done with it. Each row and seed is a
# run of run.sh, and leaves its scores in results/ under the name of the run (asr.long.multi_seed1.json for row a, and for b: two ways to decode it;
# prototype and prototype_lm likewise); what is finished is "up to date", so the table may grow over days.
# Afterwards, paired tests of the rows: see compare_rows.py.
# ./table.sh [--rows "a prototype ..."] [--seeds "1 2 3"] [options of run.sh]
set -eu -o pipefail
cd "$(dirname "$0")"

rows="a a_full b prototype prototype_lm diffusion prototype_part tts ctc random nlu" # of the table, in this order
seeds="1 2 3"
options=()
while (($#)); do
  case $1 in
    --rows) rows=$2 && shift 2 ;;
    --seeds) seeds=$2 && shift 2 ;;
    *) options+=("$1") && shift ;;
  esac
done

for seed in $seeds; do
  for row in $rows; do
    case $row in
      a) what=(--system asr --variant long) ;;                                  # speech alone, encoder frozen, for as long as those with text
      a_full) what=(--system asr --variant full) ;;                             # speech alone, end to end
      b) what=(--system asr --variant long --decoders lm) ;;                    # a, with a language model of the text
      prototype) what=(--system lasyn) ;;                                       # latents of prototypes
      prototype_lm) what=(--system lasyn --decoders lm) ;;                      # with the language model of b in its search
      ctc | random) what=(--system lasyn --variant "$row") ;;                   # latents of other rows
      prototype_part) what=(--system lasyn --variant short --text text_part) ;; # as much text and as many steps as the two that follow
      diffusion) what=(--system lasyn --variant diffusion --text text_part) ;;
      tts) what=(--system tts --variant short --text text_part) ;; # the same sentences spoken: an upper bound
      nlu) what=(--system nlu) ;;                                  # from the true words
      *) printf 'table.sh: --rows %s: no such row\n' "$row" >&2 && exit 2 ;;
    esac
    if [[ $row != nlu ]]; then what+=(--task multi); fi
    ./run.sh "${what[@]}" --seed "$seed" --record true ${options[@]+"${options[@]}"}
  done
done
