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
    --rows | --seeds)
      if (($# < 2)); then printf 'table.sh: %s: needs a value\n' "$1" >&2 && exit 2; fi
      declare "${1#--}=$2" && shift 2
      ;;
    --rows=* | --seeds=*) declare "${1#--}" && shift ;;
    *) options+=("$1") && shift ;;
  esac
done

# options_of ROW: fill the array `what` with the options of run.sh that make it.
options_of() {
  case $1 in
    a) what=(--system asr --variant long) ;;                                  # speech alone, encoder frozen, for as long as those with text
    a_full) what=(--system asr --variant full) ;;                             # speech alone, end to end
    b) what=(--system asr --variant long --decoders lm) ;;                    # a, with a language model of the text
    prototype) what=(--system lasyn) ;;                                       # latents of prototypes
    prototype_lm) what=(--system lasyn --decoders lm) ;;                      # with the language model of b in its search
    ctc | random) what=(--system lasyn --variant "$1") ;;                     # latents of other rows
    prototype_part) what=(--system lasyn --variant short --text text_part) ;; # as much text and as many steps as the two that follow
    diffusion) what=(--system lasyn --variant diffusion --text text_part) ;;
    tts) what=(--system tts --variant short --text text_part) ;; # the same sentences spoken: an upper bound
    nlu) what=(--system nlu) ;;                                  # from the true words
    *) printf 'table.sh: --rows %s: no such row\n' "$1" >&2 && exit 2 ;;
  esac
  if [[ $1 != nlu ]]; then what+=(--task multi); fi
}

for row in $rows; do options_of "$row"; done # a misspelt one is found before hours of others
for seed in $seeds; do
  for row in $rows; do
    options_of "$row"
    ./run.sh "${what[@]}" --seed "$seed" --record true ${options[@]+"${options[@]}"}
  done
done
