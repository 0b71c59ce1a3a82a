#!/usr/bin/env bash
# mini: a spoken assistant that needs no download. Its sentences come from a grammar, its speech from eSpeak NG.
# Stages 1-7 make the data, train a system, and end with exp/RESULTS.md and exp/report.html. See README.md.
cd "$(dirname "$0")" || exit

system=asr                # the system to build; nlu reads text, lasyn learns from speech and text, tts from text spoken [asr|nlu|lasyn|tts]
task=                     # what to write: words, if left empty (nlu: all that is labelled) [asr|intent|slu|ner|sentiment|parse|multi]
variant=                  # use conf/<system>/<stage>.<variant>.yaml where there is one
text=text_only            # the set of text to learn from; text_part is a fifth of it [text_only|text_part]
seed=1                    # seed of training; each seed has a folder of its own
decoders=joint            # how to decode: decode.<how>.yaml, joint being decode.yaml; lm trains a language model [joint|greedy|lm]...
sets="dev test test_rare" # the sets to decode and score
gpus=                     # GPUs to train on (empty: one if there is one)
procs=2                   # processes to train with on a CPU, one thread each when there are several
jobs=2                    # processes that make the data and that decode on a CPU
data=data                 # folder of the data directories
conf=conf                 # folder of the configs
exp=exp                   # folder of everything that is trained, decoded and scored
record=false              # keep scores and predictions of finished runs in results/, and make RESULTS.md of all that are there
toy=false                 # tiny sizes in data_toy and exp_toy: the whole recipe in a minute, without a useful result
. ../../utils/stages.sh

if $toy && $record; then stx_usage_error "--record true: what --toy true trains is no result; leave out one of them"; fi
size=(--scale 1.0) steps=(--seed "$seed")
if $toy; then
  data=${data}_toy exp=${exp}_toy jobs=1 size=(--scale 0.02)
  steps+=(--trainer.max_steps 6 --trainer.eval_every 3 --trainer.log_every 1)
fi
name=$system${variant:+.$variant}${task:+.$task}
if [[ $text != text_only ]]; then name+=.$text; fi
name+=/seed$seed # of the run, below $exp
run=$exp/$name made=$exp/$name/synthesis
lm=lm.$text/seed$seed              # the language model of decoders lm, below $exp: one for all systems
pretrained=$exp/pretrain/seed$seed # one for all that go on from the same speech model
if [[ -n $variant && -e $conf/$system/pretrain.$variant.yaml ]]; then pretrained=$run/pretrain; fi

if stage 1 data "write sentences from the grammar and speak them"; then
  run data python local/prepare.py --out "$data" --seed 1 --jobs "$jobs" "${size[@]}"
fi

read_tasks
units=$exp/units # of words; with symbols for what is understood, they are others
if [[ ${tasks[*]} != asr ]]; then units=$exp/units.${name%%/*}; fi

if stage 2 units "learn subwords, and spell every text in phones"; then
  run units python -m stxlib.bin.tokenize --config "$conf"/units.yaml --train "$data/train/text" \
    --sets "$data"/{train,dev,test,test_rare,text_only,text_part} --out "$exp/units"
  if [[ ${tasks[*]} != asr ]]; then
    run "${units#"$exp"/}" python -m stxlib.bin.tokenize --config "$conf"/units.yaml --base "$exp/units" \
      --targets.tasks "${tasks[@]}" --labels "$data/train" "$data/text_only" --sets "$data/dev" --out "$units"
  fi
fi

if stage 3 pretrain "train the speech model"; then
  case $system in
    nlu) say "nlu reads text: there is no speech model to train" ;;
    *) run "${pretrained#"$exp"/}" torchrun -m stxlib.bin.train --config "$(conf pretrain)" --train "$data/train" \
      --dev "$data/dev" --units "$exp/units" --out "$pretrained" "${steps[@]}" ;;
  esac
fi

if stage 4 synthesis "turn text into something to train on"; then
  case $system in
    asr | nlu) say "$system learns from what there is: nothing to synthesize" ;;
    tts) run "train_$text" python local/speak.py --data "$data" --text "$text" --out "$data/train_$text" --jobs "$jobs" "${size[@]}" ;;
    lasyn)
      if [[ $variant == diffusion ]]; then
        run "$name/synthesis" torchrun -m stxlib.bin.train --config "$(conf synthesis)" --train "$data/train" --dev "$data/dev" \
          --units "$exp/units" --speech_model "$pretrained" --out "$made" "${steps[@]}"
        run "$name/synthesis/latents" python -m stxlib.bin.synthesize --model "$made" --data "$data/$text" --versions 2 --out "$made/latents" --num_jobs "$jobs"
      else
        run "$name/synthesis" python -m stxlib.bin.project --config "$(conf synthesis)" --model "$pretrained" \
          --train "$data/train" --out "$made" --seed "$seed"
      fi
      run "$name/synthesis/judged" python -m stxlib.bin.judge --model "$pretrained" --synthesizer "$made" --data "$data/dev" --out "$made/judged"
      ;;
  esac
fi

if stage 5 train "train the system"; then
  from=(--train "$data/train" --init "$pretrained")
  if [[ $system == nlu ]]; then from=(--train "$data/train" --text "$data/$text"); fi
  if [[ $system == tts ]]; then from=(--train "$data/train_$text" --init "$pretrained"); fi
  if [[ $system == lasyn ]]; then from+=(--text "$data/$text" --synthesizer "$made"); fi
  if [[ $system.$variant == lasyn.diffusion ]]; then from+=(--latents "$made/latents"); fi
  run "$name/train" torchrun -m stxlib.bin.train --config "$(conf train)" --dev "$data/dev" \
    --units "$units" "${from[@]}" --objective.tasks "${tasks[@]}" --out "$run/train" "${steps[@]}"
  if [[ " $decoders " == *" lm "* ]]; then
    run "$lm" torchrun -m stxlib.bin.train --config "$conf"/lm/train.yaml --train "$data/train" --dev "$data/dev" \
      --text "$data/$text" --units "$exp/units" --out "$exp/$lm" "${steps[@]}"
  fi
fi

if stage 6 decode "recognize the sets"; then
  for how in $decoders; do
    search=()
    if [[ $how == lm ]]; then search=(--decoder.lm "$exp/$lm"); fi
    for set in $sets; do
      run "$name/train/decode_${how}_$set" python -m stxlib.bin.decode --config "$(conf "decode.$how")" \
        --model "$run/train" --data "$data/$set" "${search[@]}" --out "$run/train/decode_${how}_$set" --num_jobs "$jobs"
    done
  done
fi

if stage 7 score "score what was recognized, and report"; then
  for how in $decoders; do
    for set in $sets; do
      out=$run/train/decode_${how}_$set
      read -ra metrics <<<"$(list_metrics "${tasks[@]}")"
      run "$name/train/score_${how}_$set" python -m stxlib.bin.score --metric "${metrics[@]}" --skip_absent true --ref "$data/$set" \
        --hyp "$out" --out "$out" --train_text "$data/train/text"
    done
  done
  run report python -m stxlib.bin.report --exp "$exp" --data "$data"
  if $record; then run record python -m stxlib.bin.report --exp "$exp" --record results --table results --out RESULTS.md; fi
  say "to read: RESULTS.md and report.html in $(absolute "$exp")"
fi
