//! `balance`, `hash-type` and `hash-balance-factor`.

use super::Reader;
use super::back::Back;
use super::fetch::fetch;
use super::number;
use crate::import::note::Said;
use crate::import::toml_text::text;

/// Takes `balance ALGORITHM ARGS`.
pub(super) fn take(
    reader: &mut Reader<'_>,
    back: &mut Back<'_>,
    algorithm: &str,
    args: &[&str],
    said: &Said,
) {
    let name = algorithm.split('(').next().unwrap_or_default();
    let chosen = match (name, args) {
        ("roundrobin" | "static-rr", []) => "roundrobin",
        ("leastconn", []) => "leastconn",
        ("random", []) => {
            if !["random", "random(2)"].contains(&algorithm) {
                let why = "the better one of two random backends is taken, always two";
                reader.draft.notes.differs(said, why);
            }
            "random"
        }
        ("source", []) => {
            moved(reader, said);
            "source"
        }
        ("hash", [expression]) => match fetch(expression).key() {
            Ok(key) => {
                back.set_key(reader, key, said);
                moved(reader, said);
                "hash"
            }
            Err(why) => return reader.draft.notes.not_taken(said, why),
        },
        ("first", []) => {
            let why = "there is nothing like it: give the first backends more weight, and use \
                       balance = \"leastconn\"";
            return reader.draft.notes.not_taken(said, why);
        }
        ("uri" | "url_param" | "hdr" | "rdp-cookie", _) => {
            return reader.draft.notes.not_taken(said, "it is not for MQTT");
        }
        _ => return reader.draft.notes.not_taken(said, "it is not understood"),
    };
    reader.draft.set(back.table, "balance", text(chosen), said);
}

/// A hash of HAProxy and one of mqtt-lb have different answers.
fn moved(reader: &mut Reader<'_>, said: &Said) {
    let why = "clients that no stick table knows get another node than HAProxy gives them, \
               the same one each time";
    reader.draft.notes.differs(said, why);
}

/// Takes `hash-type METHOD FUNCTION MODIFIER`: the hash is ketama's, always.
pub(super) fn hash_type(reader: &mut Reader<'_>, words: &[&str], said: &Said) {
    match words {
        ["consistent", ..] => {
            let why = "hashes are consistent, with ketama's points as in nginx";
            reader.draft.notes.not_needed(said, why);
        }
        _ => {
            let why = "hashes are consistent: fewer clients move when backends come and go";
            reader.draft.notes.differs(said, why);
        }
    }
}

/// Takes `hash-balance-factor PERCENT`; 0 is off.
pub(super) fn factor(reader: &mut Reader<'_>, back: &Back<'_>, factor: &str, said: &Said) {
    if factor != "0" {
        number(reader, back.table, "bounded_load", factor, said);
    }
}
