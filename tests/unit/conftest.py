import logging
import os

import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
# Properties run a thousand passes; what they log tells nothing that the failing example does not.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
