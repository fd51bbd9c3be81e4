// Finds the client id in a CONNECT packet of MQTT 3.1, 3.1.1 or 5.

var id = '';

// A number of 7 bits a byte; none while it is not whole.
function number(data, at) {
    var value = 0, factor = 1;
    for (var i = 0; i < 4 && at + i < data.length; i++) {
        value += (data[at + i] & 127) * factor;
        if (data[at + i] < 128) {
            return { value: value, end: at + i + 1 };
        }
        factor *= 128;
    }
}

function preread(s) {
    s.on('upstream', function (data, flags) {
        if (data.length < 2) {
            return;
        }
        if ((data[0] & 0xf0) != 0x10) {
            s.deny();
            return;
        }
        var length = number(data, 1);
        if (!length || length.end + 2 > data.length) {
            return;
        }
        // Behind the protocol's name: level, flags, keepalive.
        var at = length.end + 2 + data.readUInt16BE(length.end);
        var level = data[at];
        at += 4;
        if (level == 5) {
            var properties = number(data, at);
            if (!properties) {
                return;
            }
            at = properties.end + properties.value;
        }
        if (at + 2 > data.length) {
            return;
        }
        var end = at + 2 + data.readUInt16BE(at);
        if (end > data.length) {
            return;
        }
        id = data.slice(at + 2, end).toString('hex');
        s.done();
    });
}

function client_id(s) {
    return id;
}

export default { preread, client_id };
