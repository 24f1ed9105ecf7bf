"""The resolved environment: what everything downstream uses, with nothing left open."""

from hashlib import sha256

import orjson
from pydantic import Field

from .compute import EffectiveResources
from .containers import EnvVar, Port
from .egress import EffectiveEgress
from .git import EffectiveGit
from .model import Model
from .packages import EffectivePackages
from .pod_template import PodSpec
from .sandbox import EffectiveStatus
from .secrets import EffectiveSecret
from .security import EffectiveSecurity
from .workspace import EffectiveWorkspace


class EffectivePodMetadata(Model):
    """Labels and annotations to put on the pod."""

    labels: dict[str, str] = Field(default={})
    annotations: dict[str, str] = Field(default={})


class EffectivePodTemplate(Model):
    """What is added to the pod."""

    metadata: EffectivePodMetadata = EffectivePodMetadata()
    spec: PodSpec = PodSpec()


class Environment(Model):
    """What a sandbox is when every layer has spoken.

    Neither ``command`` nor ``args`` means that the sandbox is kept alive for exec; ``args`` alone run the image's own
    entry point. The working directory is the workspace unless one is given: an agent's first ``ls`` and every exec
    then show its work, whatever WORKDIR the image was built with.

    A field that is added later needs a default, namely what sandboxes had before it came: the digest leaves such values
    out, so that an upgrade of the operator restarts nothing.
    """

    image: str
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    working_dir: str
    env: tuple[EnvVar, ...] = ()
    secrets: tuple[EffectiveSecret, ...] = ()
    ports: tuple[Port, ...] = ()
    egress: EffectiveEgress = EffectiveEgress()
    resources: EffectiveResources
    packages: EffectivePackages = EffectivePackages()
    setup: str = ""
    workspace: EffectiveWorkspace
    git: EffectiveGit | None = None
    security: EffectiveSecurity = EffectiveSecurity()
    pod_template: EffectivePodTemplate = EffectivePodTemplate()

    def digest(self) -> str:
        """Hash what changes the pod: all but resources, ports, egress, labels, annotations, and a volume's own.

        Those change in place; all else recreates the pod. Stable across processes and versions: 16 hexadecimal digits.
        """
        parts = self.model_dump(exclude={"resources", "ports", "egress", "pod_template"}, exclude_defaults=True)
        if self.workspace.persistent:
            parts["workspace"] = {
                name: value for name, value in parts["workspace"].items() if name in {"path", "type", "keep_packages"}
            }
        parts["pod_spec"] = self.pod_template.spec.model_dump(exclude_defaults=True)
        return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    @property
    def installs(self) -> bool:
        """Whether anything is to be done in the sandbox before it is ready."""
        return bool(self.packages or self.setup)

    @property
    def runs_entry_point(self) -> bool:
        """Whether the image's own entry point runs: what it is, no one outside of the container runtime knows."""
        return self.command is None and self.args is not None

    def status(self) -> EffectiveStatus:
        """Give the main fields, as ``status.effective`` shows them."""
        return EffectiveStatus(
            image=self.image,
            resources=self.resources,
            workspace=self.workspace,
            runtime_class_name=self.security.runtime_class_name,
        )
