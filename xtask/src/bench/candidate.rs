//! What is between client and backend.

/// A data path of mqtt-lb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Packets rewritten, no sockets.
    Splice,
    /// Redirected from socket to socket in the kernel.
    Sockmap,
    /// Read and written in userspace.
    Copy,
}

impl Path {
    /// Its name in the configuration and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Path::Splice => "splice",
            Path::Sockmap => "sockmap",
            Path::Copy => "copy",
        }
    }
}

/// A candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// Plain IP forwarding.
    Direct,
    /// mqtt-lb on one of its paths.
    MqttLb(Path),
    /// HAProxy with that many threads.
    Haproxy(u32),
}

impl Candidate {
    /// All, in the order in which they are measured and shown.
    pub const ALL: [Candidate; 6] = [
        Candidate::Direct,
        Candidate::MqttLb(Path::Splice),
        Candidate::MqttLb(Path::Sockmap),
        Candidate::MqttLb(Path::Copy),
        Candidate::Haproxy(1),
        Candidate::Haproxy(2),
    ];

    /// Its name in tables.
    pub fn name(self) -> String {
        match self {
            Candidate::Direct => "direct".into(),
            Candidate::MqttLb(path) => format!("mqtt-lb {}", path.name()),
            Candidate::Haproxy(threads) => format!("HAProxy nbthread {threads}"),
        }
    }

    /// Whether it is another balancer.
    pub fn is_peer(self) -> bool {
        matches!(self, Candidate::Haproxy(_))
    }

    /// Descriptors that its process holds for an established connection.
    pub fn descriptors(self) -> usize {
        match self {
            Candidate::Direct | Candidate::MqttLb(Path::Splice) => 0,
            Candidate::MqttLb(_) | Candidate::Haproxy(_) => 2,
        }
    }
}
