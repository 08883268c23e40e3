#!/bin/sh
# Creates namespaces with the two search attributes of a transfer. What is there already is left as it is.
# NAMESPACES has their names, separated by spaces; TEMPORAL_ADDRESS says where the server is.
set -eu

# usage: in_time WHAT COMMAND...
# Tries the command each second, for a minute.
in_time() {
  what=$1
  shift
  tries=0
  until said=$("$@" 2>&1); do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
      printf '%s\nerror: %s\n' "$said" "$what" >&2
      exit 1
    fi
    sleep 1
  done
}
# usage: has_attribute NAMESPACE NAME
has_attribute() {
  temporal operator search-attribute list --namespace "$1" | grep -q -E "^ *$2 +Keyword *\$"
}
# usage: made NAMESPACE
made() {
  temporal operator namespace describe --namespace "$1" ||
    temporal operator namespace create --namespace "$1"
}
# usage: made_attribute NAMESPACE NAME
made_attribute() {
  has_attribute "$1" "$2" ||
    temporal operator search-attribute create --namespace "$1" --name "$2" --type Keyword
}

in_time "no Temporal server answers at $TEMPORAL_ADDRESS" temporal operator cluster health
made_any=
for namespace in $NAMESPACES; do
  in_time "the namespace $namespace cannot be created" made "$namespace"
  for attribute in from_account to_account; do
    has_attribute "$namespace" "$attribute" > /dev/null 2>&1 || made_any=yes
    # A server knows a new namespace only after some seconds.
    in_time "$namespace gets no search attribute $attribute" made_attribute "$namespace" "$attribute"
    in_time "$namespace does not show its search attribute $attribute" has_attribute "$namespace" "$attribute"
  done
  echo "namespace $namespace is there, with from_account and to_account"
done
# Each process of a cluster reads the namespaces every two seconds, and only the frontend shows what it knows. A transfer that starts before
# history knows the search attributes fails its first Workflow Task.
[ -z "$made_any" ] || sleep 5
