"""pytest plugin: the suites meet the broker that runs at 127.0.0.1:1883.

paho-mqtt's suite would start a broker of its own, aiomqtt's would go to a
public one; gmqtt's goes to 127.0.0.1:1883 by itself.
"""

import sys
import types
import unittest

ADDRESS = "127.0.0.1", 1883


def pytest_collection_modifyitems(items):
    for module in {item.module for item in items}:
        if hasattr(module, "_TestBase"):
            redirect_paho(module._TestBase)
        if hasattr(module, "HOSTNAME"):
            module.HOSTNAME = ADDRESS[0]


def redirect_paho(base):
    # The suite only asks whether its broker could be imported.
    for name in ("mqtt", "mqtt.brokers"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["mqtt"].brokers = sys.modules["mqtt.brokers"]

    def start(cls, port):
        cls._test_broker_port = ADDRESS[1]

    def reboot(cls):
        raise unittest.SkipTest("would restart the broker")

    base._start_broker = classmethod(start)
    base._reboot_broker = classmethod(reboot)
    base.tearDownClass = classmethod(lambda cls: None)
