#!/usr/bin/env bash
# slue_voxpopuli: named entities in speeches of the European Parliament. See README.md; the corpus is never written to.
cd "$(dirname "$0")" || exit

corpus=         # DIR slue-voxpopuli of the release (v0.2)
test_table=     # PATH of the test set's table with labels, where it is not in the corpus; without it entities of test are not scored
amount=         # few-shot: 10min, 1h, 2h or 3h of the training speech, with all of its text and labels (nlu reads all of the text)
fix=false       # leave out rows that cannot be used, as those without audio, and list them, in place of stopping
init=           # DIR of a trained network of these sizes that the speech model begins with, as ../librispeech/exp/pretrain/seed1
system=asr      # the system to build; nlu reads text, lasyn learns from speech and text [asr|nlu|lasyn]
task=ner        # what to write: words, if empty; ner is words with entities (but for nlu), multi both [asr|ner|multi]
variant=        # use conf/<system>/<stage>.<variant>.yaml where there is one
seed=1          # seed of training, and of the draw of --amount; each seed has a folder of its own
decoders=joint  # how to decode: decode.<how>.yaml, joint being decode.yaml [joint|greedy]...
sets="dev test" # the sets to decode and score
gpus=           # GPUs to train on (empty: one if there is one)
procs=2         # processes to train with on a CPU, one thread each when there are several
jobs=2          # processes that decode on a CPU
data=data       # folder of the data directories; another preparation needs another, and another --exp
conf=conf       # folder of the configs
exp=exp         # folder of everything that is trained, decoded and scored
. ../../utils/stages.sh

if [[ $system == nlu ]]; then amount=; fi
speech=$data/train # to learn from; text and labels are those of all of it
if [[ -n $amount ]]; then speech=$data/few/train_${amount}_seed$seed; fi
name=$system${variant:+.$variant}${task:+.$task}${amount:+.$amount}/seed$seed # of the run, below $exp
run=$exp/$name made=$exp/$name/synthesis
pretrained=$exp/pretrain${amount:+.$amount}/seed$seed # one for all that go on from the same speech model

if stage 1 data "derive the data directories"; then
  require corpus
  run data python local/prepare.py --corpus "$corpus" ${test_table:+--test_table "$test_table"} --fix "$fix" --out "$data"
fi

read_tasks
units=$exp/units # of words; with symbols for what is understood, they are others
if [[ ${tasks[*]} != asr ]]; then units=$exp/units.$system.${task:-multi}; fi

if stage 2 units "learn subwords, spell every text in units, and draw --amount"; then
  run units python -m stxlib.bin.tokenize --config "$(conf units)" --train "$data/train/text" --out "$exp/units" \
    --sets "$data"/{train,dev,text_only}
  if [[ -n $amount ]]; then
    run "few/$amount.seed$seed" python ../../utils/few_shot_subsets.py "$data/train" "$data/few" --amounts "$amount" --seed "$seed"
  fi
  if [[ ${tasks[*]} != asr ]]; then
    run "${units#"$exp"/}" python -m stxlib.bin.tokenize --config "$(conf units)" --base "$exp/units" \
      --targets.tasks "${tasks[@]}" --labels "$data/train" "$data/text_only" --sets "$data/dev" --out "$units"
  fi
fi

if stage 3 pretrain "train the speech model"; then
  if [[ $system == nlu ]]; then
    say "nlu reads text: there is no speech model to train"
  else
    run "${pretrained#"$exp"/}" torchrun -m stxlib.bin.train --config "$(conf pretrain)" --train "$speech" --dev "$data/dev" \
      --units "$exp/units" ${init:+--init "$init"} --out "$pretrained" --seed "$seed"
  fi
fi

if stage 4 synthesis "turn text into something to train on"; then
  if [[ $system != lasyn ]]; then
    say "$system learns from what there is: nothing to synthesize"
  else
    if [[ $variant == diffusion ]]; then
      run "$name/synthesis" torchrun -m stxlib.bin.train --config "$(conf synthesis)" --train "$speech" --dev "$data/dev" \
        --units "$exp/units" --speech_model "$pretrained" --out "$made" --seed "$seed"
      run "$name/synthesis/latents" python -m stxlib.bin.synthesize --model "$made" --data "$data/text_only" --versions 2 \
        --out "$made/latents" --num_jobs "$jobs"
    else
      run "$name/synthesis" python -m stxlib.bin.project --config "$(conf synthesis)" --model "$pretrained" --train "$speech" \
        --out "$made" --seed "$seed"
    fi
    run "$name/synthesis/judged" python -m stxlib.bin.judge --model "$pretrained" --synthesizer "$made" --data "$data/dev" --out "$made/judged"
  fi
fi

if stage 5 train "train the system"; then
  from=(--train "$speech" --init "$pretrained")
  if [[ $system == nlu ]]; then from=(--train "$data/train" --text "$data/text_only"); fi
  if [[ $system == lasyn ]]; then from+=(--text "$data/text_only" --synthesizer "$made"); fi
  if [[ $system.$variant == lasyn.diffusion ]]; then from+=(--latents "$made/latents"); fi
  run "$name/train" torchrun -m stxlib.bin.train --config "$(conf train)" "${from[@]}" --dev "$data/dev" --units "$units" \
    --objective.tasks "${tasks[@]}" --out "$run/train" --seed "$seed"
fi

if stage 6 decode "recognize the sets"; then
  for how in $decoders; do
    for set in $sets; do
      if [[ $system == nlu && -d $data/$set && ! -e $data/$set/text ]]; then
        say "$set has no text for nlu to read"
        continue
      fi
      run "$name/train/decode_${how}_$set" python -m stxlib.bin.decode --config "$(conf "decode.$how")" --model "$run/train" \
        --data "$data/$set" --out "$run/train/decode_${how}_$set" --num_jobs "$jobs"
    done
  done
fi

if stage 7 score "score what was recognized, and report"; then
  read -ra metrics <<<"$(list_metrics "${tasks[@]}")"
  for how in $decoders; do
    for set in $sets; do
      out=$run/train/decode_${how}_$set
      run "$name/train/score_${how}_$set" python -m stxlib.bin.score --metric "${metrics[@]}" --skip_absent true --ref "$data/$set" \
        --hyp "$out" --out "$out" --train_text "$data/train/text"
    done
  done
  run report python -m stxlib.bin.report --exp "$exp" --data "$data"
  say "to read: RESULTS.md and report.html in $(absolute "$exp")"
fi
