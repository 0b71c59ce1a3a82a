# shellcheck shell=bash
# The recipe engine: a run.sh sources it after its option block, and then consists of stages.
#
#   cd "$(dirname "$0")"
#   seed=1    # seed of every random choice                     an option: variable, default, help
#   . ../../utils/stages.sh                                     reads the command line
#   if stage 3 pretrain "train the speech model"; then          a stage: number, name, what it does
#     run pretrain/seed1 python -m stxlib.bin.train ...         a step: logged, stamped, done once
#   fi
#
# An option's type follows from its default (true or false, a whole number, else anything) and its help: `[a|b]` lists the
# choices, `[a|b]...` a list of them; a help that begins with DIR or PATH takes a path as seen from where the user stands.
# For recipes: stage, run, conf, require, say, absolute, read_tasks, list_metrics. What else is here begins with stx_. Works with bash 3.2 (macOS).
set -euo pipefail

# Options of every recipe.
stage=1       # first stage, by number or name
stop_stage=7  # last stage, by number or name
resume=true   # false does the selected stages afresh and deletes what stages 3-5 of them trained
dry_run=false # print the commands and write nothing
# End of options.

: "${system:=}" "${variant:=}" "${task:=}" "${data:=data}" "${exp:=exp}" # options that the functions below use, should a recipe not have them

conf=${conf-conf} # folder of the configs, where the recipe has no option for it
stx_recipe=$(basename "$0")
stx_engine=${BASH_SOURCE[0]}
stx_root=$(cd "$(dirname "$stx_engine")/.." && pwd)
stx_home=${OLDPWD:-$PWD} # run.sh goes to its own folder first; this is where the user stands

# ---- what the lines of the recipe say ------------------------------------------------------------------------------------

# Fill stx_names, stx_helps, stx_defaults (the options in their order) and stx_stages, stx_abouts (by number).
stx_read_recipe() {
  local file line name
  local option='^([a-z][a-z0-9_]*)=.*[[:space:]]#[[:space:]](.+)$'
  local head='^if stage ([0-9]+) ([a-z_]+) "(.*)"; then'
  stx_names=() stx_helps=() stx_defaults=() stx_stages=() stx_abouts=()
  for file in "$stx_recipe" "$stx_engine"; do
    while IFS= read -r line; do
      case $line in '. '*utils/stages.sh | '# End of options.') break ;; esac
      if [[ $line =~ $option ]]; then
        name=${BASH_REMATCH[1]}
        stx_names+=("$name")
        stx_helps+=("${BASH_REMATCH[2]}")
        stx_defaults+=("${!name-}")
      fi
    done <"$file"
  done
  while IFS= read -r line; do
    if [[ $line =~ $head ]]; then
      stx_stages[BASH_REMATCH[1]]=${BASH_REMATCH[2]}
      stx_abouts[BASH_REMATCH[1]]=${BASH_REMATCH[3]}
    fi
  done <"$stx_recipe"
}

stx_help() {
  local line i left value
  while IFS= read -r line; do # the comment at the top of run.sh is the description
    case $line in
      '#!'*) ;;
      '#'*) line=${line#\#} && printf '%s\n' "${line# }" ;;
      *) break ;;
    esac
  done <"$stx_recipe"
  printf '\nusage: ./%s [--option value | --option=value]...\n\n' "$stx_recipe"
  for i in "${!stx_names[@]}"; do
    case ${stx_helps[i]} in
      DIR\ *) left="--${stx_names[i]} DIR" ;;
      PATH\ *) left="--${stx_names[i]} PATH" ;;
      *) left="--${stx_names[i]}" ;;
    esac
    value=${stx_helps[i]#DIR }
    printf '  %-16s %s (default: %s)\n' "$left" "${value#PATH }" "${stx_defaults[i]:-none}"
  done
  printf '  %-16s %s\n' "--list_stages" "print the stages" "--help" "print this"
  printf '\nstages:\n'
  stx_list_stages
}

stx_list_stages() {
  local n
  for n in "${!stx_stages[@]}"; do
    printf '  %d %-10s %s\n' "$n" "${stx_stages[n]}" "${stx_abouts[n]}"
  done
}

# ---- the command line ----------------------------------------------------------------------------------------------------

stx_usage_error() {
  printf '%s: %s\n' "$stx_recipe" "$*" >&2
  exit 2
}

# Print how many letters have to change to make $1 into $2 (Levenshtein distance).
stx_distance() {
  local a=$1 b=$2 i j cost best row=() last=()
  for ((j = 0; j <= ${#b}; j++)); do last[j]=$j; done
  for ((i = 1; i <= ${#a}; i++)); do
    row[0]=$i
    for ((j = 1; j <= ${#b}; j++)); do
      cost=1
      if [[ ${a:i-1:1} == "${b:j-1:1}" ]]; then cost=0; fi
      best=$((last[j - 1] + cost))
      if ((last[j] + 1 < best)); then best=$((last[j] + 1)); fi
      if ((row[j - 1] + 1 < best)); then best=$((row[j - 1] + 1)); fi
      row[j]=$best
    done
    last=("${row[@]}")
  done
  printf '%d\n' "${last[${#b}]}"
}

stx_unknown_option() {
  local name distance nearest='' smallest=4
  for name in "${stx_names[@]}" list_stages help; do
    distance=$(stx_distance "$1" "$name")
    if ((distance < smallest)); then smallest=$distance nearest=$name; fi
  done
  stx_usage_error "unknown option --$1${nearest:+; did you mean --$nearest?} 
  options:$(printf ' --%s' "${stx_names[@]}") --list_stages --help"
}

# Check $2 as a value of option number $1 and set the variable.
stx_set_option() {
  local name=${stx_names[$1]} help=${stx_helps[$1]} default=${stx_defaults[$1]} value=$2 word
  local choices='\[([^]]+)\](\.\.\.)?'
  if [[ $help =~ $choices ]]; then
    local allowed=${BASH_REMATCH[1]} many=${BASH_REMATCH[2]}
    if [[ -z $many && $value == *' '* ]]; then stx_usage_error "--$name takes one of $allowed, not '$value'"; fi
    for word in ${value:-''}; do
      case "|$allowed|" in
        *"|$word|"*) ;;
        *) stx_usage_error "--$name has no choice '$word'; choose from $allowed" ;;
      esac
    done
  fi
  case $help in
    DIR\ * | PATH\ *) if [[ -n $value && $value != /* ]]; then value=$stx_home/$value; fi ;;
  esac
  case $name=$default in
    stage=* | stop_stage=*) value=$(stx_stage_number "$name" "$value") ;;
    *=true | *=false)
      case $value in
        true | false) ;;
        *) stx_usage_error "--$name takes true or false, not '$value'" ;;
      esac
      ;;
    *)
      if [[ $default =~ ^[0-9]+$ && ! $value =~ ^[0-9]+$ ]]; then
        stx_usage_error "--$name takes a whole number, not '$value'"
      fi
      ;;
  esac
  printf -v "$name" '%s' "$value"
}

# Print the number of the stage that was typed as $2 for --$1. Any number is accepted: users type huge ones to mean "the end".
stx_stage_number() {
  local n
  if [[ $2 =~ ^0*([0-9]+)$ ]]; then
    n=${BASH_REMATCH[1]}
    if ((${#n} > 6)); then n=999999; fi
    printf '%d\n' "$((10#$n))"
    return
  fi
  for n in "${!stx_stages[@]}"; do
    if [[ ${stx_stages[n]} == "$2" ]]; then
      printf '%d\n' "$n"
      return
    fi
  done
  stx_usage_error "--$1 has no stage '$2'; the stages are $(for n in "${!stx_stages[@]}"; do printf '%s' "$n ${stx_stages[n]}, "; done)by number or name"
}

stx_parse_options() { # keeps in stx_given what was typed, less --stage, to print the command that resumes
  local word name value i index
  stx_given=()
  while (($# > 0)); do
    word=$1
    shift
    case $word in
      -h | --help) stx_help && exit 0 ;;
      --list_stages | --list-stages) stx_list_stages && exit 0 ;;
      --?*) ;;
      *) stx_usage_error "'$word' is not an option; options are --name value (see --help)" ;;
    esac
    name=${word#--}
    name=${name%%=*}
    name=${name//-/_}
    index=
    for i in "${!stx_names[@]}"; do
      if [[ ${stx_names[i]} == "$name" ]]; then index=$i; fi
    done
    if [[ -z $index ]]; then stx_unknown_option "$name"; fi
    if [[ $word == *=* ]]; then
      value=${word#*=}
    elif (($# > 0)) && [[ $1 != --?* ]]; then
      value=$1
      shift
    elif [[ ${stx_defaults[index]} == true || ${stx_defaults[index]} == false ]]; then
      value=true # a switch: --dry_run
    else
      stx_usage_error "--$name needs a value"
    fi
    stx_set_option "$index" "$value"
    if [[ $name != stage && $name != resume ]]; then stx_given+=("--$name" "${!name}"); fi
  done
}

# ---- stages and steps ----------------------------------------------------------------------------------------------------

say() { # one line to the reader
  printf '%s\n' "$*"
}

absolute() { # a path as it is called from anywhere
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$PWD/$1" ;;
  esac
}

# stage NUMBER NAME ABOUT: is this stage selected? Prints its heading if so.
stage() {
  stx_end_stage
  if (($1 < stage || $1 > stop_stage)); then return 1; fi
  stx_now=$1
  stx_began=$SECONDS
  say "== $(date +%H:%M:%S) stage $1 $2: $3"
}

stx_end_stage() {
  if [[ -n $stx_now ]]; then
    stx_times+="$(printf '  %d %-10s %s' "$stx_now" "${stx_stages[stx_now]}" "$(stx_seconds $((SECONDS - stx_began)))")"$'\n'
  fi
  stx_now=
}

stx_seconds() {
  if (($1 < 60)); then printf '%ds' "$1"; else printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); fi
}

# conf NAME: the path of a config of this system: conf/<system>/NAME.<variant>.yaml if there is one, else (for train) NAME.<task>.yaml,
# else NAME.yaml (for train, NAME.<variant>.<task>.yaml comes before all); conf/NAME.yaml is for all systems, and what lasyn and tts have no file for is that of asr. `decode.joint` needs no suffix: joint decoding is what decode.yaml is for.
conf() {
  local name=$conf/$system/${1%.joint}
  if [[ $1 == train && -n $variant && -e $name.$variant.$task.yaml ]]; then
    name=$name.$variant.$task
  elif [[ -n $variant && -e $name.$variant.yaml ]]; then
    name=$name.$variant
  elif [[ $1 == train && -n $task && -e $name.$task.yaml ]]; then
    name=$name.$task
  elif [[ ! -e $name.yaml && -e $conf/$1.yaml ]]; then
    name=$conf/$1
  elif [[ ! -e $name.yaml && $system =~ ^(lasyn|tts)$ ]]; then
    system=asr conf "$1" # what a recognizer does not say otherwise is as in asr
    return
  fi
  printf '%s.yaml\n' "$name"
}

# list_tasks: what the system learns to write (--task). Without a task that is words, but for nlu, which reads them, all that the
# training set is labelled with; `multi` is words, where speech is read, and all that the training set is labelled with.
list_tasks() {
  local labelled='' pair
  for pair in slu:semantics ner:entities sentiment:sentiment; do
    if [[ ! -d $data/train || -e $data/train/${pair#*:} ]]; then labelled+=" ${pair%:*}"; fi # all, before stage 1 has run
  done
  if [[ -e $data/train/parse ]]; then labelled+=" parse"; fi
  if [[ -e $data/train/intent && ! -e $data/train/semantics ]]; then labelled=" intent$labelled"; fi
  case $system:$task in
    nlu: | nlu:multi) say "${labelled# }" ;; # none: see read_tasks
    *:multi) say "asr$labelled" ;;
    *) say "${task:-asr}" ;;
  esac
}

# read_tasks: fill the array `tasks` with what list_tasks says.
read_tasks() {
  read -ra tasks <<<"$(list_tasks)"
  if ((${#tasks[@]} == 0)); then
    stx_usage_error "$data/train is not labelled, and $system has nothing to learn; give a corpus with intent, semantics, entities, sentiment or parse"
  fi
}

# list_metrics TASK...: the metrics by which these tasks are scored.
list_metrics() {
  local one found=''
  for one in "$@"; do
    case $one in
      asr) found+=' wer cer' ;;
      intent) found+=' ic' ;;
      slu) found+=' ic slurp exact' ;;
      ner) found+=' slue_ner' ;;
      sentiment) found+=' slue_sa' ;;
      parse) found+=' stop_em' ;;
    esac
  done
  say "${found# }"
}

stx_check_task() {
  if [[ $system:$task == nlu:asr ]]; then stx_usage_error "--task asr: nlu reads text, and has nothing to recognize; choose another"; fi
  if [[ $system:$task == asr:asr ]]; then task=; fi # what asr writes without a task
  case $variant:$task in
    pooled:intent | pooled:sentiment)
      if [[ ${decoders-joint} != joint ]]; then stx_usage_error "--decoders $decoders: a pooled classifier has one way, joint"; fi
      ;;
    pooled:*) stx_usage_error "--variant pooled tells classes apart: give --task intent or --task sentiment" ;;
  esac
}

stx_check_decoders() {
  local how
  for how in ${decoders-}; do
    if [[ ! -e $(conf "decode.$how") ]]; then stx_usage_error "--decoders $how: there is no $(conf "decode.$how")"; fi
  done
}

stx_check_variant() { # a misspelt variant would otherwise be the plain system
  local folder file found='' folders=("$conf/$system")
  if [[ -z $variant ]]; then return; fi
  case $variant in
    asr | intent | slu | ner | sentiment | parse | multi) stx_usage_error "--variant $variant: this is a task; give --task $variant" ;;
  esac
  if [[ ! -d $conf/$system ]]; then folders+=("$conf/asr"); fi                                   # tts; see conf
  for file in "${folders[@]/%//*.$variant.yaml}" "${folders[@]/%//*.$variant.${task-}.yaml}"; do # some are for one task only
    if compgen -G "$file" >/dev/null; then return; fi
  done
  folder=${folders[-1]}
  for file in "$folder"/*.*.yaml; do
    case ${file##*/} in
      *.*.multi.yaml) found+=" $file (--task multi)" ;;
      *.intent.yaml | *.slu.yaml | *.ner.yaml | *.sentiment.yaml | *.parse.yaml | *.multi.yaml) ;;
      *) if [[ -e $file ]]; then found+=" $file"; fi ;;
    esac
  done
  stx_usage_error "--variant $variant: there is no $folder/<stage>.$variant.yaml (there are:${found:- none})"
}

# require NAME...: options that this stage cannot do without.
require() {
  local name
  for name in "$@"; do
    if [[ -z ${!name} ]]; then stx_usage_error "stage $stx_now ${stx_stages[stx_now]} needs --$name (see --help)"; fi
  done
}

# run NAME COMMAND...: a step. Its log is $exp/NAME.log and its stamp $exp/NAME.stamp.json; a step whose stamp still fits its
# command, config and inputs is not run again. `python` stands for the environment's interpreter, and `torchrun` for one that
# starts as many processes as --gpus or --procs say (utils/launch.py, should they be several).
run() {
  local name=$1 words status=0
  shift
  printf -v words ' %q' "$@"
  say "+${words//\\,/,}"
  if $dry_run; then return; fi
  stx_find_python
  if [[ ${gpus-} == 0 ]]; then export CUDA_VISIBLE_DEVICES=; fi
  case $1 in
    python) shift && set -- "$stx_python" "$@" ;;
    torchrun) shift && stx_launcher && set -- "${stx_launch[@]}" "$@" ;;
  esac
  stx_log=$exp/$name.log
  # In the background, so that bash can act on a signal at once: a foreground step would hold it back until it ends.
  PYTHONPATH="$stx_root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUTF8=1 PYTHONUNBUFFERED=1 "$stx_python" "$stx_root/utils/run_step.py" \
    --name "$name" --exp "$exp" --stage "$stx_now" --resume "$resume" -- "$@" &
  stx_child=$!
  wait "$stx_child" || status=$?
  while kill -0 "$stx_child" 2>/dev/null; do # a signal broke off the wait; it has been handed on to the step
    status=0
    wait "$stx_child" || status=$?
  done
  stx_child=
  if ((status == 99)); then # nothing was run, and the reason has been printed
    stx_log='' stx_verb=stopped status=2
  fi
  if ((status > 0)); then exit "$status"; fi
  stx_log=
}

stx_find_python() { # the environment of tools/setup.sh; without one, $PYTHON or python3, as in a hand-made environment
  if [[ -n ${stx_python-} ]]; then return; fi
  stx_python=$stx_root/.venv/bin/python
  if [[ ! -x $stx_python ]]; then stx_python=$(command -v "${PYTHON:-python3}" || true); fi
  local missing='import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("torch", "yaml", "configargparse"))))'
  if [[ -z $stx_python ]] || ! "$stx_python" -c "$missing" 2>/dev/null; then
    stx_python=
    say "$stx_recipe: there is no environment to run in; make it by $stx_root/tools/setup.sh" >&2
    exit 2
  fi
}

# Fill stx_launch: one process for each GPU, or --procs processes of one thread where there is none.
stx_launcher() {
  local count=${gpus-} processes=${procs:-1} present
  present=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)
  if [[ -n $count ]] && ((count > present)); then
    stx_usage_error "--gpus $count, but this machine has $present; take --gpus $present or leave --gpus out"
  fi
  if [[ $count != 0 ]] && ((present > 0)); then processes=${count:-1}; fi
  stx_launch=("$stx_python")
  if ((processes > 1)); then stx_launch+=("$stx_root/utils/launch.py" "$processes"); fi
}

# The last lines of every run: what took how long, or what failed and how to go on.
stx_finish() {
  local status=$1 name again
  trap - EXIT
  if ((status == 0)); then
    stx_end_stage
    if [[ -z $stx_times ]]; then say "no stage from $stage to $stop_stage"; fi
    if ! $dry_run; then
      if [[ -n $stx_times ]]; then printf 'time by stage:\n%s' "$stx_times"; fi
      say "Successfully finished. [elapsed=${SECONDS}s]"
    fi
    exit 0
  fi
  if [[ -n $stx_now ]]; then
    name=${stx_stages[stx_now]}
    printf -v again ' %q' --stage "$stx_now" ${stx_given[@]+"${stx_given[@]}"}
    case $status in
      130) stx_verb=interrupted stx_log= ;; # these two are no fault, and the step has said what it saved
      143) stx_verb=terminated stx_log= ;;
    esac
    if [[ -n $stx_log && -e $stx_log ]]; then
      say "---- last lines of $(absolute "$stx_log"):"
      tail -n 15 "$stx_log"
    fi
    say "---- $stx_recipe: $stx_verb in stage $stx_now $name (exit status $status); resume with: ./$stx_recipe$again"
  fi >&2
  exit "$status"
}

stx_terminate() { # a training saves itself on SIGTERM, and then ends
  if [[ -z $stx_child ]]; then exit 143; fi
  kill "$stx_child" 2>/dev/null || true
}

stx_interrupt() { # Ctrl-C has reached the step too: it only has to be waited for
  if [[ -z $stx_child ]]; then exit 130; fi
}

stx_now='' stx_times='' stx_log='' stx_child='' stx_verb=failed
stx_read_recipe
stx_parse_options "$@"
stx_check_variant
stx_check_task
stx_check_decoders
trap 'stx_finish $?' EXIT
trap stx_terminate TERM
trap stx_interrupt INT
