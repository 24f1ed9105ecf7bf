"""Who the driver is, to whom asks by CSI, and to the kubelet."""

from typing import Any

import csi_pb2 as csi
import registration_pb2 as registration
import structlog

from localcluster.native.storage.offers import VERSION, Offer


class Identity:
    """CSI's Identity service."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def get_plugin_info(self, _request: Any) -> Any:
        """Return name and version."""
        return csi.GetPluginInfoResponse(name=self._offer.driver, vendor_version=VERSION)

    def get_plugin_capabilities(self, _request: Any) -> Any:
        """Say that it makes volumes, on nodes that one cannot choose freely, and whether they grow while in use."""
        service, growth = csi.PluginCapability.Service, csi.PluginCapability.VolumeExpansion
        found = [
            csi.PluginCapability(service=service(type=kind))
            for kind in (service.CONTROLLER_SERVICE, service.VOLUME_ACCESSIBILITY_CONSTRAINTS)
        ]
        if self._offer.full:
            found.append(csi.PluginCapability(volume_expansion=growth(type=growth.ONLINE)))
        return csi.GetPluginCapabilitiesResponse(capabilities=found)

    def probe(self, _request: Any) -> Any:
        """Say that it is ready: it does not answer before it is."""
        answer = csi.ProbeResponse()
        answer.ready.value = True
        return answer


class Registration:
    """The kubelet's registration service."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def get_info(self, _request: Any) -> Any:
        """Return what the kubelet registers."""
        return registration.PluginInfo(
            type="CSIPlugin", name=self._offer.driver, endpoint=str(self._offer.socket), supported_versions=["1.0.0"]
        )

    def notify_registration_status(self, request: Any) -> Any:
        """Note what became of it."""
        log = structlog.get_logger().bind(driver=self._offer.driver)
        if request.plugin_registered:
            log.info("registered with the kubelet")
        else:
            log.error("the kubelet did not register the driver", error=request.error)
        return registration.RegistrationStatusResponse()
