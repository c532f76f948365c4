"""Why the API takes no pods: namespaces, rights, quotas, limits, security standards, webhooks and missing classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ferryml.domain.explain.clues import Clue, Kind
from ferryml.domain.explain.facts import Facts, name_of
from ferryml.domain.explain.kit import Lead, Look, Rule, first, lead
from ferryml.domain.quantities import amount, resource_words

_OF: tuple[Kind, ...] = ("refusal", "event", "job", "pod")


def quota(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """A ResourceQuota of the namespace is used up; says by how much, and whether it can ever fit."""
    pattern = (
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>[^ ]+), used: (?P<used>[^ ]+), limited: (?P<hard>\S+)"
    )
    found = first(said, {"refusal": pattern, "event": pattern})
    if found is None:
        return
    clue, match = found
    asked, used, hard = (_pairs(match[key]) for key in ("asked", "used", "hard"))
    words, never = [], False
    for key, want in asked.items():
        limit = hard.get(key, 0.0)
        if used.get(key, 0.0) + want > limit:
            words.append(
                f"{_say(key, want)} of {key} asked for, {_say(key, used.get(key, 0.0))} of {_say(key, limit)} in use"
            )
            never = never or want > limit
    cause = f"quota {match['quota']} of the namespace is used up: {'; '.join(words) or match[0]}"
    if never:
        cause = f"quota {match['quota']} can never hold it: {'; '.join(words)}"
    fix = "Choose a smaller instance type" if never else "It starts when other work in the namespace ends"
    made = lead(
        "quota.exceeded",
        "OutOfQuota",
        cause,
        clue.quoted(),
        f"{fix}, or IT raises the ResourceQuota.",
        99,
        "failed" if never else "warning",
    )
    yield replace(made, text=made.finding.evidence)


def quota_near(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """A quota with nothing left, where no message said so yet."""
    if any(clue.kind in ("refusal", "event") and "exceeded quota" in clue.text for clue in said) or facts.pods:
        return
    for each in facts.quotas:
        status = each.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        full = [key for key in hard if _number(used.get(key)) >= _number(hard[key])]
        if full and not facts.ended:
            yield lead(
                "quota.full",
                "OutOfQuota",
                f"quota {name_of(each)} of the namespace has nothing left of {', '.join(full)}",
                ", ".join(f"{key}: {used.get(key)} of {hard[key]}" for key in full),
                "It starts when other work in the namespace ends, or IT raises the ResourceQuota.",
                75,
                "warning",
            )


def namespace_gone(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The namespace is being deleted."""
    found = first(said, dict.fromkeys(_OF, r"because it is being terminated|NamespaceTerminating"))
    phase = ((facts.namespace or {}).get("status") or {}).get("phase")
    if found or phase == "Terminating":
        name = name_of(facts.namespace or {}) or "of the compute"
        yield lead(
            "namespace.terminating",
            "NamespaceMissing",
            f"namespace {name} is being deleted",
            found[0].quoted() if found else f"namespace {name} is Terminating",
            "Wait until it is gone, make it again, or attach a compute in another namespace.",
            99,
        )


def _pairs(text: str) -> dict[str, float]:
    return {key: _number(value) for key, _, value in (part.partition("=") for part in text.split(","))}


def _number(value: object) -> float:
    try:
        return amount(value)
    except ValueError:
        return 0.0


def _say(key: str, value: float) -> str:
    return resource_words(re.sub(r"^(?:requests|limits)\.", "", key), value)


RULES: tuple[Look, ...] = (
    namespace_gone,
    quota,
    quota_near,
    Rule(
        "namespace.missing",
        "NamespaceMissing",
        ("refusal", "event", "runner"),
        r'namespaces? "(?P<name>[^"]+)" (?:not found|is missing)|NamespaceMissing: (?P<text>.*)',
        "the compute's namespace {name} does not exist in the cluster",
        "kubectl create namespace {name}, or attach the compute with --create-namespace.",
        99,
    ),
    Rule(
        "quota.must-say",
        "OutOfQuota",
        _OF,
        r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.*)",
        "quota {quota} of the namespace wants every container to say {what}",
        "Use an instance type that has them, or IT adds a LimitRange with defaults.",
        99,
    ),
    Rule(
        "limits.range",
        "AdmissionDenied",
        _OF,
        r"(?P<which>minimum|maximum) (?P<what>\S+) usage per (?P<per>\w+) is (?P<limit>\S+?),? +but "
        r"(?P<that>.*?)(?:[,\]]|$)",
        "a LimitRange of the namespace allows a {which} of {limit} {what} per {per}: {that}",
        "Choose an instance type within it, or IT changes the LimitRange.",
        99,
    ),
    Rule(
        "limits.ratio",
        "AdmissionDenied",
        _OF,
        r"(?P<what>\S+) max limit to request ratio per \w+ is (?P<ratio>\S+),",
        "a LimitRange of the namespace allows {what} limits of at most {ratio} times the requests",
        "Use an instance type whose limits are nearer to its requests.",
        99,
    ),
    Rule(
        "security.standard",
        "AdmissionDenied",
        _OF,
        r'violates PodSecurity "(?P<level>[^"]+)": (?P<why>.*)',
        "the namespace enforces Pod Security {level}, and the pod does not meet it: {why}",
        "Use an image that runs as a user other than root, or IT lowers the level: "
        "kubectl label namespace NAMESPACE --overwrite pod-security.kubernetes.io/enforce=baseline",
        99,
    ),
    Rule(
        "security.scc",
        "AdmissionDenied",
        _OF,
        r"unable to validate against any security context constraint: (?P<why>.*)",
        "no security context constraint of OpenShift allows the pod: {why}",
        "IT grants one: oc adm policy add-scc-to-user nonroot-v2 -z default -n NAMESPACE",
        99,
    ),
    Rule(
        "webhook.denied",
        "AdmissionDenied",
        _OF,
        r'admission webhook "(?P<hook>[^"]+)" denied the request: ?(?P<why>.*)',
        "the cluster's policy {hook} forbids it: {why}",
        "Ask IT, who owns that policy, for an exception or the right way.",
        99,
    ),
    Rule(
        "webhook.down",
        "AdmissionDenied",
        _OF,
        r'failed calling webhook "(?P<hook>[^"]+)": (?P<why>.*)',
        "the admission webhook {hook} does not answer, so that nothing can be made",
        "IT repairs its service, or removes its webhook configuration if it is a leftover.",
        98,
    ),
    Rule(
        "policy.denied",
        "AdmissionDenied",
        _OF,
        r"ValidatingAdmissionPolicy '(?P<policy>[^']+)'.*? denied request: (?P<why>.*)",
        "the cluster's policy {policy} forbids it: {why}",
        "Ask IT, who owns that policy.",
        99,
    ),
    Rule(
        "account.missing",
        "ServiceAccountMissing",
        _OF,
        r'service ?account "?(?:(?P<ns>[^/" ]+)/)?(?P<account>[^":]+)"?(?:: serviceaccount "[^"]*")? (?:was )?not '
        r"found|"
        r"no API token found for service account",
        "the service account {account} does not exist in the compute's namespace",
        "kubectl create serviceaccount {account} -n NAMESPACE, or correct the compute's identity.",
        99,
    ),
    Rule(
        "class.priority",
        "ClassMissing",
        _OF,
        r"no PriorityClass with name (?P<name>\S+) was found",
        "there is no PriorityClass {name} in the cluster",
        "IT makes it, or the instance type (or priority_class of the site) names one that exists.",
        99,
    ),
    Rule(
        "class.runtime",
        "ClassMissing",
        _OF,
        r'RuntimeClass(?:\.node\.k8s\.io)? "?(?P<name>[^" ]+)"? not found',
        "there is no RuntimeClass {name} in the cluster",
        "IT makes it, or the instance type names one that exists.",
        99,
    ),
    Rule(
        "rights.missing",
        "PermissionMissing",
        _OF,
        r'User "(?P<who>[^"]+)" cannot (?P<verb>\w+) resource "(?P<what>[^"]+)"',
        "Ferry's agent may not {verb} {what} there",
        "IT applies the RoleBinding of that namespace: add it to `namespaces` of the chart and upgrade.",
        99,
    ),
    Rule(
        "size.too-large",
        "LimitExceeded",
        ("refusal",),
        r"Request entity too large|request is too large|Too long: must have at most",
        "the job's definition is too large for the cluster",
        "Move long values from environment_variables or command into files of the code folder.",
        98,
    ),
    Rule(
        "admission.invalid",
        "AdmissionDenied",
        ("refusal",),
        r"is invalid: (?P<why>.*)",
        "the cluster refuses {where} as invalid: {why}",
        "Correct the instance type or the job's field that it names.",
        90,
        last="family",
    ),
    Rule(
        "admission.other",
        "AdmissionDenied",
        ("refusal", "event"),
        r"^(?:Forbidden|FailedCreate|Invalid): (?:Error creating: )?(?:[\w.]+ \"[^\"]*\" is forbidden: )?(?P<why>.*)",
        "the cluster refuses to make the pod: {why}",
        "Ask IT about the cluster's admission rules.",
        60,
        last="family",
    ),
)
