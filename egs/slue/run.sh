#!/usr/bin/env bash
# slue: sentiment of one corpus of SLUE and entities of the other, and the SLUE score. See README.md; the corpora are never written to.
cd "$(dirname "$0")" || exit

corpus=         # DIR that holds slue-voxceleb and slue-voxpopuli (v0.2); test is scored where their tables with labels are there
amount=         # few-shot: 10min, 1h, 2h or 3h of the speech of each corpus, with all of its text and labels (nlu reads all of the text)
fix=false       # leave out rows that cannot be used, as those without audio, and list them, in place of stopping
init=           # DIR of a trained network of these sizes that the speech model begins with, as ../librispeech/exp/pretrain/seed1
system=asr      # the system to build: words, and sentiment or entities; nlu reads text, lasyn learns from speech and text [asr|nlu|lasyn]
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
kind=$system${variant:+.$variant}${amount:+.$amount}
both=$kind/seed$seed made=$exp/$kind/seed$seed/synthesis # what both corpora share
pretrained=$exp/pretrain${amount:+.$amount}/seed$seed    # one for all that go on from the same speech model
few=${amount:+few/} end=${amount:+_${amount}_seed$seed}
speech=$data/${few}train$end # of both corpora; text and labels are those of all of it

begin() { # what follows is of the corpus $1
  task=sentiment heard=$data/${few}train_$1$end
  if [[ $1 == voxpopuli ]]; then task=ner; fi
  tasks=(asr "$task") name=$kind.$1/seed$seed run=$exp/$kind.$1/seed$seed units=$exp/units.$system.$1
  if [[ $system == nlu ]]; then tasks=("$task"); fi
}

if stage 1 data "derive the data directories"; then
  require corpus
  run data python local/prepare.py --corpus "$corpus" --fix "$fix" --out "$data"
fi

if stage 2 units "learn subwords, spell every text in units, and draw --amount"; then
  run units python -m stxlib.bin.tokenize --config "$(conf units)" --train "$data/train/text" --out "$exp/units" \
    --sets "$data"/{train,dev}{,_voxceleb,_voxpopuli}
  for part in voxceleb voxpopuli; do
    begin "$part"
    run "${units#"$exp"/}" python -m stxlib.bin.tokenize --config "$(conf units)" --base "$exp/units" --targets.tasks "${tasks[@]}" \
      --labels "$data/train_$part" --sets "$data/dev_$part" --out "$units"
    if [[ -n $amount ]]; then
      run "few/$part.$amount.seed$seed" python ../../utils/few_shot_subsets.py "$data/train_$part" "$data/few" --amounts "$amount" --seed "$seed"
    fi
  done
  if [[ -n $amount ]]; then
    run "few/$amount.seed$seed" python ../../utils/subset_data_dir.py "$data/train" "$speech" \
      --list "$data"/few/train_{voxceleb,voxpopuli}"$end"/ids.txt
  fi
fi

if stage 3 pretrain "train the speech model, but for nlu"; then
  if [[ $system != nlu ]]; then
    run "${pretrained#"$exp"/}" torchrun -m stxlib.bin.train --config "$(conf pretrain)" --train "$speech" --dev "$data/dev" \
      --units "$exp/units" ${init:+--init "$init"} --out "$pretrained" --seed "$seed"
  fi
fi

if stage 4 synthesis "turn text into something to train on, for lasyn"; then
  if [[ $system == lasyn ]]; then
    run "$both/synthesis" python -m stxlib.bin.project --config "$(conf synthesis)" --model "$pretrained" --train "$speech" \
      --out "$made" --seed "$seed"
    run "$both/synthesis/judged" python -m stxlib.bin.judge --model "$pretrained" --synthesizer "$made" --data "$data/dev" --out "$made/judged"
  fi
fi

if stage 5 train "train a system of each corpus"; then
  for part in voxceleb voxpopuli; do
    begin "$part"
    from=(--train "$heard" --init "$pretrained")
    if [[ $system == nlu ]]; then from=(--train "$data/train_$part"); fi
    if [[ $system == lasyn ]]; then from+=(--text "$data/train_$part" --synthesizer "$made"); fi
    run "$name/train" torchrun -m stxlib.bin.train --config "$(conf train)" "${from[@]}" --dev "$data/dev_$part" --units "$units" \
      --objective.tasks "${tasks[@]}" --out "$run/train" --seed "$seed"
  done
fi

if stage 6 decode "recognize the sets"; then
  for part in voxceleb voxpopuli; do
    begin "$part"
    for how in $decoders; do
      for set in $sets; do
        if [[ $system == nlu && -d $data && ! -e $data/${set}_$part/text ]]; then
          say "${set}_$part has no text for nlu to read" && continue
        fi
        run "$name/train/decode_${how}_$set" python -m stxlib.bin.decode --config "$(conf "decode.$how")" --model "$run/train" \
          --data "$data/${set}_$part" --out "$run/train/decode_${how}_$set" --num_jobs "$jobs"
      done
    done
  done
fi

if stage 7 score "score what was recognized, and report"; then
  for how in $decoders; do
    for set in $sets; do
      scored=decode_${how}_$set parts=()
      for part in voxceleb voxpopuli; do
        begin "$part"
        read -ra metrics <<<"$(list_metrics "${tasks[@]}")"
        run "$name/train/score_${how}_$set" python -m stxlib.bin.score --metric "${metrics[@]}" --skip_absent true \
          --ref "$data/${set}_$part" --hyp "$run/train/$scored" --out "$run/train/$scored" --train_text "$data/train/text"
        parts+=("$run/train/$scored/score.json")
      done
      if [[ $system == nlu ]]; then
        say "no SLUE score of $set: it takes words that were heard"
      else # without sentiment or entities, as of a blind set or by --decoders greedy, it says so
        run "$both/train/score_${how}_$set" python -m stxlib.bin.score --metric slue --parts "${parts[@]}" --skip_absent true --out "$exp/$both/train/$scored"
      fi
    done
  done
  run report python -m stxlib.bin.report --exp "$exp" --data "$data"
  say "to read: RESULTS.md and report.html in $(absolute "$exp")"
fi
