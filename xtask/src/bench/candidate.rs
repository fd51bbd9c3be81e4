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

/// How HAProxy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Haproxy {
    /// `nbthread`.
    pub threads: u32,
    /// `option splice-auto`.
    pub splices: bool,
}

/// A candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// Plain IP forwarding.
    Direct,
    /// mqtt-lb on one of its paths.
    MqttLb(Path),
    /// HAProxy.
    Haproxy(Haproxy),
    /// nginx stream with njs, a worker for each processor.
    Nginx,
}

/// HAProxy with so many threads.
pub const fn haproxy(threads: u32, splices: bool) -> Candidate {
    Candidate::Haproxy(Haproxy { threads, splices })
}

impl Candidate {
    /// All, in the order in which they are shown.
    pub const ALL: [Candidate; 9] = [
        Candidate::Direct,
        Candidate::MqttLb(Path::Splice),
        Candidate::MqttLb(Path::Sockmap),
        Candidate::MqttLb(Path::Copy),
        haproxy(1, false),
        haproxy(2, false),
        haproxy(1, true),
        haproxy(2, true),
        Candidate::Nginx,
    ];

    /// Its name in tables.
    pub fn name(self) -> String {
        match self {
            Candidate::Direct => "direct".into(),
            Candidate::MqttLb(path) => format!("mqtt-lb {}", path.name()),
            Candidate::Haproxy(Haproxy { threads, splices }) => {
                let splice = if splices { ", splice" } else { "" };
                format!("HAProxy nbthread {threads}{splice}")
            }
            Candidate::Nginx => "nginx njs".into(),
        }
    }

    /// Whether it is another balancer.
    pub fn is_peer(self) -> bool {
        matches!(self, Candidate::Haproxy(_) | Candidate::Nginx)
    }

    /// Whether it differs from another candidate only in how it moves much at once.
    pub fn is_for_bulk(self) -> bool {
        matches!(self, Candidate::Haproxy(Haproxy { splices: true, .. }))
    }

    /// Descriptors that one of its processes holds for an established connection.
    pub fn descriptors(self) -> usize {
        match self {
            Candidate::Direct | Candidate::MqttLb(Path::Splice) => 0,
            Candidate::MqttLb(_) | Candidate::Haproxy(_) | Candidate::Nginx => 2,
        }
    }
}
