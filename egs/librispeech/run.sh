#!/usr/bin/env bash
# librispeech: read English with transcripts, and text without speech. See README.md; the corpus is never written to.
cd "$(dirname "$0")" || exit

corpus=                                          # DIR that holds LibriSpeech/, or Mini LibriSpeech's
train=                                           # parts to learn from (empty: train-clean-100); Mini: train-clean-5
train_hours=                                     # only so many hours of --train, drawn by seed 1: an own subset
libri_light=                                     # DIR librispeech_finetuning of Libri-light, to learn from in place of --train
libri_light_amount=                              # how much of it (empty: 10h) [10min|1h|10h]
text=                                            # PATH of sentences to learn from, plain or .gz, as librispeech-lm-norm.txt.gz
text_share=                                      # share of the lines of --text to draw (empty: all); 0.025 of the LM corpus is about a million
text_parts=                                      # parts whose transcripts are text to learn from, as train-clean-360 train-other-500
fix=false                                        # leave out utterances without audio or transcript, and list them, in place of stopping
init=                                            # DIR of a trained network of these sizes that the speech model begins with
system=asr                                       # the system to build; lasyn learns from speech and text [asr|lasyn]
variant=                                         # use conf/<system>/<stage>.<variant>.yaml where there is one
seed=1                                           # seed of training; each seed has a folder of its own
decoders=joint                                   # how to decode: decode.<how>.yaml, joint being decode.yaml [joint|greedy]...
dev="dev-clean dev-other"                        # parts that decide which weights are kept; Mini: dev-clean-2
sets="dev-clean dev-other test-clean test-other" # the parts to decode and score
gpus=                                            # GPUs to train on (empty: one if there is one)
procs=2                                          # processes to train with on a CPU, one thread each when there are several
jobs=2                                           # processes that decode on a CPU
data=data                                        # folder of the data directories; another --train or --text needs another, and another --exp
conf=conf                                        # folder of the configs
exp=exp                                          # folder of everything that is trained, decoded and scored
. ../../utils/stages.sh

name=$system${variant:+.$variant}/seed$seed # of the run, below $exp
run=$exp/$name made=$exp/$name/synthesis
pretrained=$exp/pretrain/seed$seed # one for all that go on from the same speech model
with_text=$text$text_parts         # empty where there is none

if stage 1 data "derive the data directories"; then
  require corpus
  read -ra parts <<<"$train"
  read -ra dev_parts <<<"$dev"
  read -ra set_parts <<<"$sets"
  read -ra transcripts <<<"$text_parts"
  run data python local/prepare.py --corpus "$corpus" ${train:+--train "${parts[@]}"} --dev "${dev_parts[@]}" --sets "${set_parts[@]}" \
    ${train_hours:+--train_hours "$train_hours"} ${libri_light:+--libri_light "$libri_light"} \
    ${libri_light_amount:+--libri_light_amount "$libri_light_amount"} ${text:+--text "$text"} \
    ${text_share:+--text_share "$text_share"} ${text_parts:+--text_parts "${transcripts[@]}"} --fix "$fix" --out "$data"
fi

if stage 2 units "learn subwords, and spell every text in units"; then
  run units python -m stxlib.bin.tokenize --config "$(conf units)" --train "$data/train/text" --out "$exp/units" \
    --sets "$data/train" "$data/dev" ${with_text:+"$data/text_only"}
fi

if stage 3 pretrain "train the speech model"; then
  run "${pretrained#"$exp"/}" torchrun -m stxlib.bin.train --config "$(conf pretrain)" --train "$data/train" --dev "$data/dev" \
    --units "$exp/units" ${init:+--init "$init"} --out "$pretrained" --seed "$seed"
fi

if stage 4 synthesis "turn text into something to train on"; then
  if [[ $system == asr ]]; then
    say "asr learns from what there is: nothing to synthesize"
  else
    if [[ -z $with_text ]]; then require text; fi
    if [[ $variant == diffusion ]]; then
      run "$name/synthesis" torchrun -m stxlib.bin.train --config "$(conf synthesis)" --train "$data/train" --dev "$data/dev" \
        --units "$exp/units" --speech_model "$pretrained" --out "$made" --seed "$seed"
      run "$name/synthesis/latents" python -m stxlib.bin.synthesize --model "$made" --data "$data/text_only" \
        --out "$made/latents" --num_jobs "$jobs"
    else
      run "$name/synthesis" python -m stxlib.bin.project --config "$(conf synthesis)" --model "$pretrained" --train "$data/train" \
        --out "$made" --seed "$seed"
    fi
    run "$name/synthesis/judged" python -m stxlib.bin.judge --model "$pretrained" --synthesizer "$made" --data "$data/dev" --out "$made/judged"
  fi
fi

if stage 5 train "train the system"; then
  from=(--init "$pretrained")
  if [[ $system == lasyn ]]; then from+=(--text "$data/text_only" --synthesizer "$made"); fi
  if [[ $system.$variant == lasyn.diffusion ]]; then from+=(--latents "$made/latents"); fi
  run "$name/train" torchrun -m stxlib.bin.train --config "$(conf train)" --train "$data/train" --dev "$data/dev" \
    --units "$exp/units" "${from[@]}" --out "$run/train" --seed "$seed"
fi

if stage 6 decode "recognize the sets"; then
  for how in $decoders; do
    for set in $sets; do
      run "$name/train/decode_${how}_$set" python -m stxlib.bin.decode --config "$(conf "decode.$how")" --model "$run/train" \
        --data "$data/$set" --out "$run/train/decode_${how}_$set" --num_jobs "$jobs"
    done
  done
fi

if stage 7 score "score what was recognized, and report"; then
  for how in $decoders; do
    for set in $sets; do
      out=$run/train/decode_${how}_$set
      run "$name/train/score_${how}_$set" python -m stxlib.bin.score --metric wer cer --ref "$data/$set" --hyp "$out" --out "$out" \
        --train_text "$data/train/text"
    done
  done
  run report python -m stxlib.bin.report --exp "$exp" --data "$data"
  say "to read: RESULTS.md and report.html in $(absolute "$exp")"
fi
