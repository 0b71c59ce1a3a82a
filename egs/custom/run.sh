#!/usr/bin/env bash
# custom: any corpus that is a folder with the data directories train, dev and test (see README.md).
# Stages 1-7 derive the data, train a system, and end with exp/RESULTS.md and exp/report.html. The corpus is never written to.
cd "$(dirname "$0")" || exit

corpus=           # DIR that holds the data directories train, dev and those of --sets
text=             # PATH of text without speech: data directory, .txt or .gz of one sentence a line, .jsonl with labels
paired=           # DIR, a data directory of transcribed speech, for a train set without transcripts
fix=false         # leave out broken utterances, listing them
allow_pipes=false # run the commands of wav.scp lines that end in |
system=asr        # the system to build [asr]
variant=          # use conf/<system>/<stage>.<variant>.yaml where there is one
seed=1            # seed of training; each seed has a folder of its own
decoders=joint    # how to decode: decode.<how>.yaml, joint being decode.yaml [joint|greedy]...
sets="dev test"   # the sets to decode and score
gpus=             # GPUs to train on (empty: one if there is one)
procs=2           # processes to train with on a CPU, one thread each when there are several
jobs=2            # processes that decode on a CPU
data=data         # folder of the derived data directories; another corpus needs another, and another --exp
exp=exp           # folder of everything that is trained, decoded and scored
. ../../utils/stages.sh

speech=$data/train
if [[ -n $paired ]]; then speech=$data/paired; fi
name=$system${variant:+.$variant}/seed$seed # of the run, below $exp
run=$exp/$name
units=$exp/units
pretrained=$exp/pretrain/seed$seed # one for all that go on from the same speech model
if [[ -n $variant && -e conf/$system/pretrain.$variant.yaml ]]; then pretrained=$run/pretrain; fi

if stage 1 data "derive the data directories"; then
  require corpus
  derived=(train dev)
  for set in $sets; do
    if [[ $set != train && $set != dev ]]; then derived+=("$set"); fi
  done
  run data python local/prepare.py --corpus "$corpus" --sets "${derived[@]}" --fix "$fix" --allow_pipes "$allow_pipes" \
    --out "$data" ${text:+--text "$text"} ${paired:+--paired "$paired"}
fi

if stage 2 units "learn subwords, and spell every text in units"; then
  spelt=("$speech" "$data/dev")
  if [[ -n $text ]]; then spelt+=("$data/text_only"); fi
  run units python -m stxlib.bin.tokenize --config conf/units.yaml --train "$speech/text" --sets "${spelt[@]}" --out "$units"
fi

if stage 3 pretrain "train the speech model"; then
  run "${pretrained#"$exp"/}" torchrun -m stxlib.bin.train --config "$(conf pretrain)" --train "$speech" --dev "$data/dev" \
    --units "$units" --out "$pretrained" --seed "$seed" --allow_pipes "$allow_pipes"
fi

if stage 4 synthesis "turn text into something to train on"; then
  case $system in
    asr) say "asr learns from speech alone: nothing to synthesize" ;;
  esac
fi

if stage 5 train "train the system"; then
  run "$name/train" torchrun -m stxlib.bin.train --config "$(conf train)" --train "$speech" --dev "$data/dev" \
    --units "$units" --init "$pretrained" --out "$run/train" --seed "$seed" --allow_pipes "$allow_pipes"
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
  for how in $decoders; do
    for set in $sets; do
      out=$run/train/decode_${how}_$set
      if [[ -e $data/$set/wav.scp && ! -e $data/$set/text ]]; then
        say "$set has no transcripts: see $(absolute "$out")/text for what was recognized"
        continue
      fi
      run "$name/train/score_${how}_$set" python -m stxlib.bin.score --metric wer cer --ref "$data/$set" \
        --hyp "$out" --out "$out" --train_text "$speech/text"
    done
  done
  run report python -m stxlib.bin.report --exp "$exp" --data "$data"
  say "to read: RESULTS.md and report.html in $(absolute "$exp")"
fi
