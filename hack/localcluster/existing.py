"""A cluster that is there already, named by a context of the user's kubeconfig. Nothing in it is made or removed."""

import shutil
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.facts import facts
from localcluster.paths import state_home
from localcluster.progress import say
from localcluster.tools import tool


class ExistingCluster:
    """Somebody's cluster.

    Parameters
    ----------
    context
        The context's name.
    """

    name = "context"
    # Nobody knows what it needs.
    chart_values: tuple[str, ...] = ()
    policy_enforcement = "up to that cluster's network"

    def __init__(self, context: str, state: Path | None = None) -> None:
        self.context = context
        self.state = state or state_home()

    @property
    def kubeconfig(self) -> Path:
        """Return a kubeconfig with that context alone."""
        return self.state / "kubeconfig"

    def up(self) -> None:
        """Check that the cluster answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        content = run(tool("kubectl"), "config", "view", "--minify", "--flatten", f"--context={self.context}")
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(content)
        say(f"context {self.context} answers: Kubernetes {facts(self.kubeconfig).version}")

    def down(self) -> None:
        """Forget the cluster; it stays as it is."""
        shutil.rmtree(self.state, ignore_errors=True)
        say(f"context {self.context} is forgotten; the cluster itself is untouched")

    def load(self, image: str) -> list[str]:
        """Refuse: there is no way into a foreign cluster's nodes."""
        raise ClusterError(f"{image} cannot be loaded into context {self.context}: push it to a registry it pulls from")

    def details(self) -> dict[str, object]:
        """Return the context's name."""
        return {"context": self.context}
