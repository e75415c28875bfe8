"""What tests do with `bftctl member`."""
import json

import harness


def member(cluster, *words):
    cluster_file = cluster.dir / "hosts" / "host2" / "cluster.toml"
    return harness.run(harness.BFTCTL, "member", *words, "--client", cluster.dir / "clients" / "admin", "--cluster", cluster_file)


def replace(cluster, old, new, *words):
    return member(cluster, "replace", old, "--by", cluster.dir / "hosts" / new / f"{new}.join", "--key",
                  cluster.dir / "admins" / "admin.key", *words)


def replaced(cluster, old, new):
    """The answer of a replacement that went well."""
    return joined(replace(cluster, old, new, "--format", "json"), new)


def added(cluster, new):
    """As of replaced(): `new` brings one more database."""
    return joined(member(cluster, "add", cluster.dir / "hosts" / new / f"{new}.join", "--key", cluster.dir / "admins" / "admin.key",
                         "--format", "json"), new)


def joined(done, new):
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    print(done.stdout.strip(), flush=True)
    answer = json.loads(done.stdout)
    if not answer["caught_up"]:
        raise AssertionError(f"{new} has not caught up")
    return answer


def members(cluster):
    """Name -> what it does, as f+1 replicas say."""
    done = member(cluster, "list", "--format", "json")
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return {each["name"]: each for each in json.loads(done.stdout)["members"]}


def prepare(cluster, new, *old):
    """`old`: whom it replaces, or "--counters", N; nobody: it brings a database."""
    cluster.script("prepare-host", new, *old)
    if old:
        start(cluster, new)
    else:
        cluster.script("start-host", new)  # a database only: it has no counters, and no daemon for them
    harness.wait_until(lambda: "not_a_member_yet" in cluster.log(new), f"{new} waits")
    harness.run(harness.BFTNODE, "--check-config", "--config", cluster.dir / "hosts" / new / "node.toml", check=True)


def start(cluster, new):
    """As an operator does from afar: by a provisioner."""
    home = cluster.dir / "hosts" / new
    (home / "settings.json").write_text(json.dumps({"folder": str(home), "programs": str(harness.BFTNODE.parent)}))
    for word in ("start", "status"):
        done = harness.run(harness.BFTCTL, "host", word, new, "--by", harness.ROOT / "deploy" / "provision" / "local", "--cluster",
                           cluster.dir / "hosts" / "host2" / "cluster.toml", "--settings", home / "settings.json", check=True)
        if f"{new} is running" not in done.stdout:
            raise AssertionError(done.stdout)
