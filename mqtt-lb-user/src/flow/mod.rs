//! One connection: accept, sniff, route, dial, relay, hand over, end.
