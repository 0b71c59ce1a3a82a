#!/usr/bin/env bash
# custom: any folder with a training, a development and a test set, of speech, of text, labelled or not: see README.md. It is never written to.
cd "$(dirname "$0")" || exit

corpus=           # DIR that holds the training set, the development set and those of --sets
train=train       # name of the training set in the corpus
dev=dev           # name of the development set in the corpus
text=             # PATH of text without speech: data directory, .txt or .gz of one sentence a line, .jsonl with labels
paired=           # DIR, a data directory of transcribed speech, for a train set without transcripts
paired_dev=       # DIR, a development set for it, for a dev set without transcripts
init=             # DIR of a trained network that the speech model begins with, as egs/mini/exp/pretrain/seed1
fix=false         # leave out broken utterances, listing them
allow_pipes=false # run the commands of wav.scp lines that end in |
system=asr        # the system to build; nlu reads text, lasyn learns from speech and --text [asr|nlu|lasyn]
task=             # what to write: words, if left empty (nlu: all that is labelled) [asr|intent|slu|ner|sentiment|parse|multi]
variant=          # use conf/<system>/<stage>.<variant>.yaml where there is one
seed=1            # seed of training; each seed has a folder of its own
decoders=joint    # how to decode: decode.<how>.yaml, joint being decode.yaml [joint|greedy]...
sets="dev test"   # the sets to decode and score
gpus=             # GPUs to train on (empty: one if there is one)
procs=2           # processes to train with on a CPU, one thread each when there are several
jobs=2            # processes that decode on a CPU
data=data         # folder of the derived data directories; another corpus needs another, and another --exp
conf=conf         # folder of the configs
exp=exp           # folder of everything that is trained, decoded and scored
. ../../utils/stages.sh

words=$data/train words_dev=$data/${paired_dev:+paired_}dev # whose transcripts give subwords and, where there is speech, the speech model
if [[ -n $paired ]]; then words=$data/paired; fi
name=$system${variant:+.$variant}${task:+.$task}/seed$seed # of the run, below $exp
run=$exp/$name made=$exp/$name/synthesis
pretrained=$exp/pretrain/seed$seed # one for all that go on from the same speech model
if [[ -n $variant && -e $conf/$system/pretrain.$variant.yaml ]]; then pretrained=$run/pretrain; fi

if stage 1 data "derive the data directories"; then
  require corpus
  read -ra names <<<"$sets"
  run data python local/prepare.py --corpus "$corpus" --train "$train" --dev "$dev" --sets "${names[@]}" --fix "$fix" \
    --allow_pipes "$allow_pipes" --out "$data" ${text:+--text "$text"} ${paired:+--paired "$paired"} \
    ${paired_dev:+--paired_dev "$paired_dev"}
fi

read_tasks
units=$exp/units # of words; with symbols for what is understood, they are others
if [[ ${tasks[*]} != asr ]]; then units=$exp/units.${name%%/*}; fi

if stage 2 units "learn subwords, and spell every text in units"; then
  if [[ $system != nlu ]]; then
    run units python -m stxlib.bin.tokenize --config "$(conf units)" --train "$words/text" --out "$exp/units" \
      --sets "$words" "$words_dev" ${text:+"$data/text_only"}
  fi
  if [[ ${tasks[*]} != asr ]]; then
    labelled=("$data/train") from=(--base "$exp/units" --sets "$data/dev")
    if [[ $system == nlu ]]; then from=(--train "$words/text" --sets "$data/train" "$data/dev"); fi
    if [[ $system != asr && -n $text ]]; then labelled+=("$data/text_only"); fi
    run "${units#"$exp"/}" python -m stxlib.bin.tokenize --config "$(conf units)" "${from[@]}" \
      --targets.tasks "${tasks[@]}" --labels "${labelled[@]}" --out "$units"
  fi
fi

if stage 3 pretrain "train the speech model"; then
  if [[ $system == nlu ]]; then
    say "nlu reads text: there is no speech model to train"
  else
    run "${pretrained#"$exp"/}" torchrun -m stxlib.bin.train --config "$(conf pretrain)" --train "$words" --dev "$words_dev" \
      --units "$exp/units" ${init:+--init "$init"} --out "$pretrained" --seed "$seed" --allow_pipes "$allow_pipes"
  fi
fi

if stage 4 synthesis "turn text into something to train on"; then
  case $system in
    asr | nlu) say "$system learns from what there is: nothing to synthesize" ;;
    lasyn)
      require text
      from=(--train "$words" --allow_pipes "$allow_pipes" --out "$made" --seed "$seed")
      if [[ $variant == diffusion ]]; then
        run "$name/synthesis" torchrun -m stxlib.bin.train --config "$(conf synthesis)" --dev "$words_dev" \
          --units "$exp/units" --speech_model "$pretrained" "${from[@]}"
        run "$name/synthesis/latents" python -m stxlib.bin.synthesize --model "$made" --data "$data/text_only" --out "$made/latents" --num_jobs "$jobs"
      else
        run "$name/synthesis" python -m stxlib.bin.project --config "$(conf synthesis)" --model "$pretrained" "${from[@]}"
      fi
      run "$name/synthesis/judged" python -m stxlib.bin.judge --model "$pretrained" --synthesizer "$made" --data "$words_dev" --out "$made/judged"
      ;;
  esac
fi

if stage 5 train "train the system"; then
  from=(--init "$pretrained" --allow_pipes "$allow_pipes")
  if [[ $system == nlu ]]; then from=(${text:+--text "$data/text_only"}); fi
  if [[ $system == lasyn ]]; then from+=(--text "$data/text_only" --synthesizer "$made"); fi
  if [[ $system.$variant == lasyn.diffusion ]]; then from+=(--latents "$made/latents"); fi
  run "$name/train" torchrun -m stxlib.bin.train --config "$(conf train)" --train "$data/train" --dev "$data/dev" \
    --units "$units" ${from[@]+"${from[@]}"} --objective.tasks "${tasks[@]}" --out "$run/train" --seed "$seed"
fi

if stage 6 decode "recognize the sets"; then
  for how in $decoders; do
    for set in $sets; do
      run "$name/train/decode_${how}_$set" python -m stxlib.bin.decode --config "$(conf "decode.$how")" \
        --model "$run/train" --data "$data/$set" --out "$run/train/decode_${how}_$set" \
        --num_jobs "$jobs" --allow_pipes "$allow_pipes"
    done
  done
fi

if stage 7 score "score what was recognized, and report"; then
  read -ra metrics <<<"$(list_metrics "${tasks[@]}")"
  for how in $decoders; do
    for set in $sets; do
      out=$run/train/decode_${how}_$set
      run "$name/train/score_${how}_$set" python -m stxlib.bin.score --metric "${metrics[@]}" --skip_absent true --ref "$data/$set" \
        --hyp "$out" --out "$out" --train_text "$words/text"
    done
  done
  run report python -m stxlib.bin.report --exp "$exp" --data "$data"
  say "to read: RESULTS.md and report.html in $(absolute "$exp")"
fi
