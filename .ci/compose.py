"""Looks at what Docker Compose makes of compose/compose.yaml. .ci/compose calls it with the folder of the three files."""

import json
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
plain, example, changed = (json.loads((folder / f"{name}.json").read_text()) for name in ("plain", "example", "set"))
services = plain["services"]
wrong = []


def expect(holds, what):
    if not holds:
        wrong.append(what)


def ports(described):
    return {
        (name, port["target"], port["published"]): port.get("host_ip", "0.0.0.0")
        for name, service in described["services"].items()
        for port in service.get("ports", [])
    }


# ---- Who can reach what.

for (name, target, published), address in ports(plain).items():
    expect(address == "127.0.0.1", f"{name}'s {published} is published at {address}")
    expect(name in ("temporal", "ui", "transfer-web"), f"{name}'s {published} is published at all")
moved = {key for key, address in ports(changed).items() if address == "192.0.2.7"}
expect(
    moved == {("temporal", 7233, "7233"), ("ui", 8080, "8233"), ("transfer-web", 5051, "5051")},
    f"BUGLAB_BIND moves {sorted(moved)}",
)
expect(example == plain, "by example.env something is not as by default")
expect(changed["services"]["namespaces"]["environment"]["NAMESPACES"] == "one two", "BUGLAB_NAMESPACES is not heard")
for name, service in changed["services"].items():
    for key, value in service.get("environment", {}).items():
        if re.search("PASSWORD|PWD", key):
            expect(value == "another", f"{name} has another password than the others in {key}")

# ---- What is started, and after what.

for name, service in services.items():
    for other, how in service.get("depends_on", {}).items():
        healthy = how["condition"] == "service_healthy"
        expect(not healthy or "healthcheck" in services[other], f"{name} waits for {other} to be healthy without a health check")
        ends = how["condition"] == "service_completed_successfully"
        expect(ends == ("restart" not in services[other]), f"{name} waits for {other} to end, or {other} does and is not waited for")
    for volume in service.get("volumes", []):
        if volume["type"] == "bind":
            file = pathlib.Path(volume["source"])
            expect(file.is_file(), f"{file}, which {name} has mounted, is not there")
            expect(volume.get("read_only"), f"{name} may write to {file}")
    expect(not service.get("privileged"), f"{name} is privileged")
    if service.get("profiles") == ["demo"]:
        expect(service.get("read_only"), f"{name} is not read_only")
        expect(service.get("cap_drop") == ["ALL"], f"{name} keeps capabilities")
        expect(service.get("pull_policy") == "never", f"{name} may come from a registry")
expect(
    [name for name, service in services.items() if "/data" in [it["target"] for it in service.get("volumes", [])]]
    == ["account-api"],
    "the bank, and nobody else, keeps something in /data",
)

# ---- Versions.

version = re.search(r'^version = "(.+)"$', pathlib.Path("Cargo.toml").read_text(), re.MULTILINE)[1]
tags = {}
for name, service in services.items():
    image, _, tag = service["image"].partition(":")
    tags[name] = tag
    expect(re.fullmatch(r"\d+(\.\d+)+", tag), f"{service['image']} has no exact version")
    if service.get("profiles") == ["demo"]:
        expect(
            (image, tag) == (f"temporal-bug-lab-{name}", version),
            f"{service['image']} is not what Nix makes: temporal-bug-lab-{name}:{version}",
        )
expect(tags["temporal"] == tags["schema"] == tags["namespaces"], "the server's version is not that of its tools")

# ---- The server's settings are the lab's.

mounted = [it["source"] for it in services["temporal"]["volumes"] if it["target"] == "/buglab/dynamic-config.yaml"]
expect(
    services["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"] == "/buglab/dynamic-config.yaml" and mounted,
    "the server has no dynamic-config.yaml",
)
text = "".join(line for line in pathlib.Path(mounted[0]).read_text().splitlines(True) if not line.startswith("#"))
entry = re.compile(r"(\S+):\n  - value: (.+)\n")
expect(entry.sub("", text) == "", f"dynamic-config.yaml has more than names and values: {entry.sub('', text)!r}")
settings = {name: json.loads(value) for name, value in entry.findall(text)}
source = pathlib.Path("xtask/src/services.rs").read_text()
# As in r#"history.defaultWorkflowTaskTimeout="2s""# and "history.transferProcessorMaxPollRPS=50"
of_the_lab = {
    name: json.loads(value)
    for name, value in re.findall(r'"((?:history|frontend)\.[\w.]+)=("[^"]*"|\d+)"', source)
}
expect(len(of_the_lab) == 6, f"xtask/src/services.rs has these settings, and not six: {of_the_lab}")
hosts = settings.pop("frontend.httpAllowedHosts", None)
expect(hosts == ["127.0.0.1:7243", "localhost:7243", "temporal:7243"], f"the HTTP API is called by {hosts}")
for name in sorted(of_the_lab.keys() | settings.keys()):
    expect(
        settings.get(name) == of_the_lab.get(name),
        f"{name} is {settings.get(name)} in dynamic-config.yaml and {of_the_lab.get(name)} in the lab",
    )

# ---- The three programs find each other, and the page's reader the UI.

web = dict(it.removeprefix("--").split("=", 1) for it in services["transfer-web"]["command"])
expect(web["temporal-http"].removeprefix("http://") in hosts, "the page asks the HTTP API by a name that it does not take")
bank = "http://account-api:5050"
expect(services["worker"]["environment"]["ACCOUNT_API_URL"] == web["bank"] == bank, "the bank has one address")
expect(web["temporal-ui"] == "http://127.0.0.1:8233", f"the page links to {web['temporal-ui']}")
expect("--temporal-ui=http://192.0.2.7:8233" in changed["services"]["transfer-web"]["command"], "BUGLAB_BIND leaves the page's links")

if wrong:
    sys.exit("\n".join(f"error: {it}" for it in wrong))
