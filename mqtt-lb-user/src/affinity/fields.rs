//! What is known of a client when it is routed.

use std::net::IpAddr;

/// The fields of a client's CONNECT that may choose its pool and make its key. What
/// the CONNECT does not have, or has not brought yet, is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The protocol level, without a bridge's high bit.
    pub level: u8,
    /// The client id, which may be empty.
    pub client_id: &'a [u8],
    /// The username.
    pub username: Option<&'a [u8]>,
    /// The topic of the will.
    pub will_topic: Option<&'a [u8]>,
    /// Names and values of the user properties, in order.
    pub user_properties: Vec<(&'a [u8], &'a [u8])>,
    /// The client's address.
    pub source: IpAddr,
}

impl<'a> Fields<'a> {
    /// A client of MQTT 3.1.1 of which no more is known than its id and its address.
    #[must_use]
    pub fn new(client_id: &'a [u8], source: IpAddr) -> Self {
        Self {
            level: 4,
            client_id,
            username: None,
            will_topic: None,
            user_properties: Vec::new(),
            source,
        }
    }

    /// The value of the first user property of that name.
    #[must_use]
    pub fn user_property(&self, name: &str) -> Option<&'a [u8]> {
        self.user_properties
            .iter()
            .find(|(key, _)| *key == name.as_bytes())
            .map(|(_, value)| *value)
    }
}
