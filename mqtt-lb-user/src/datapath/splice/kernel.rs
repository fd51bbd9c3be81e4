//! The kernel half of the splice path: programs, pinned maps, and how they are opened.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use aya::{Ebpf, EbpfLoader};
use mqtt_lb_ebpf::splice_slot::{Note, SpliceSlot};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::{Place, Place6, Tuple4, Tuple6};
use tracing::{info, warn};

use super::attachments::{self, Attachments, InterfaceState};
use super::maps::Maps;
use super::pins::{self, Pins};
use super::room::Room;
use super::{foreign, layout, overlap};
use crate::config::{Attach, Splice};
use crate::datapath::mapped::Mapped;
use crate::datapath::object;
use crate::datapath::release::Release;

/// First release with tcx.
const FIRST: (u32, u32) = (6, 6);

/// Where the programs are while the path is in use.
enum Programs {
    /// On interfaces, pinned.
    Attached(Mutex<Attachments>, Pins),
    /// Loaded only.
    Detached(Ebpf),
}

/// Programs and maps of the splice path.
pub struct SpliceKernel {
    programs: Programs,
    maps: Maps,
}

/// An opened path.
pub struct Opened {
    /// The path.
    pub kernel: SpliceKernel,
    /// Whether the maps are those of an earlier process, with its flows.
    pub adopted: bool,
    /// Source and destination of packets that programs of other versions take.
    pub foreign: Vec<[SocketAddr; 2]>,
}

impl SpliceKernel {
    /// Loads the programs, opens or makes the pinned maps of this network namespace and
    /// attaches to its interfaces; links of an earlier process get these programs
    /// without a packet passing by.
    ///
    /// # Errors
    /// One line that says what this host lacks, or who is in the way.
    pub fn open(config: &Splice, listeners: &[SocketAddr]) -> anyhow::Result<Opened> {
        object::bytes()?;
        check_release()?;
        overlap::check(&config.ports)?;
        if config.attach == Attach::Auto {
            info!(
                "splice: attach is auto, which is tcx: every interface has it, and merged \
                 segments stay whole; xdp is for network cards with native XDP"
            );
        }
        let netns = object::netns_cookie()?;
        let pins = Pins::claim(&config.pin, netns)?;
        let mut taken = Vec::new();
        for other in pins::directories(&config.pin, Some(netns))? {
            if other != pins.path() {
                taken.extend(foreign::arrivals(&other));
                warn!(
                    "splice: {} holds flows of another version, which go on by themselves; \
                     `mqtt-lb flows flush` ends them",
                    other.display()
                );
            }
        }
        let pinned = layout::pinned(pins.path())?;
        if pinned.is_none() {
            // What somebody left who did not get as far as the slots.
            pins.clear().context("removing half made pins")?;
        }
        let wanted = Room::wanted(config, listeners);
        let room = pinned.unwrap_or(wanted);
        room.compare(wanted);
        let path = pins.path().to_owned();
        let with_xdp = config.attach == Attach::Xdp;
        let opened = Self::load(room, Some(&pins), with_xdp).and_then(|(ebpf, maps)| {
            let mut attachments = Attachments::new(ebpf, path, config);
            attachments.refresh()?;
            must_be_somewhere(&attachments.states())?;
            maps.listen_on(listeners)?;
            Ok((attachments, maps))
        });
        match opened {
            Ok((attachments, maps)) => Ok(Opened {
                kernel: Self {
                    programs: Programs::Attached(Mutex::new(attachments), pins),
                    maps,
                },
                adopted: pinned.is_some(),
                foreign: taken,
            }),
            Err(error) => {
                if pinned.is_none() {
                    pins.remove().context(format!("{error:#}; cleaning up"))?;
                }
                Err(error)
            }
        }
    }

    /// Loads programs and maps with nothing pinned and nothing attached, to run the
    /// programs by `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    /// As [`SpliceKernel::open`].
    pub fn load_detached(max_flows: u32) -> anyhow::Result<Self> {
        let room = Room {
            flows: max_flows,
            ipv6: true,
        };
        let (ebpf, maps) = Self::load(room, None, true)?;
        Ok(Self {
            programs: Programs::Detached(ebpf),
            maps,
        })
    }

    /// Loads the programs alone, all of them, with maps for one flow.
    ///
    /// # Errors
    /// The kernel refuses one.
    pub fn load_programs() -> anyhow::Result<Ebpf> {
        let room = Room {
            flows: 1,
            ipv6: true,
        };
        Ok(Self::load(room, None, true)?.0)
    }

    fn load(room: Room, pins: Option<&Pins>, with_xdp: bool) -> anyhow::Result<(Ebpf, Maps)> {
        let bytes = object::bytes()?;
        let mut loader = EbpfLoader::new();
        // Nobody reads what the programs would log.
        loader.override_global(aya_log::LEVEL, &0u8, false);
        for shape in &layout::MAPS {
            loader.map_max_entries(shape.name, shape.entries(room));
            if let Some(pins) = pins {
                loader.map_pin_path(shape.name, pins.path().join(shape.name));
            }
        }
        let mut ebpf = loader.load(bytes).context(
            "loading the kernel programs (needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)",
        )?;
        // Before the maps are taken out: programs refer to them by descriptors.
        attachments::load_programs(&mut ebpf, with_xdp)?;
        let maps = Maps::take(&mut ebpf, room)?;
        Ok((ebpf, maps))
    }

    /// Flows the maps have room for; pinned ones may differ from the configuration.
    pub fn max_flows(&self) -> u32 {
        self.maps.slots.len()
    }

    /// The state of every flow.
    pub fn slots(&self) -> &Mapped<SpliceSlot> {
        &self.maps.slots
    }

    /// What userspace notes of every flow.
    pub fn notes(&self) -> &Mapped<Note> {
        &self.maps.notes
    }

    /// Sends packets of `key` to `place`.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the key has a place,
    /// [`io::ErrorKind::StorageFull`] when there is no room for it.
    pub fn insert4(&self, key: Tuple4, place: Place) -> io::Result<()> {
        self.maps.idx4.insert(key, place)
    }

    /// Forgets a key; that it is gone already is no error.
    pub fn remove4(&self, key: &Tuple4) {
        self.maps.idx4.remove(key);
    }

    /// As [`SpliceKernel::insert4`].
    ///
    /// # Errors
    /// As there, but the kernel says in its own way that there is no room.
    pub fn insert6(&self, key: Tuple6, place: Place6) -> io::Result<()> {
        self.maps.idx6.insert(key, place)
    }

    /// As [`SpliceKernel::remove4`].
    pub fn remove6(&self, key: &Tuple6) {
        self.maps.idx6.remove(key);
    }

    /// Where packets of a key over IPv4 are sent.
    pub fn find4(&self, key: &Tuple4) -> Option<Place> {
        self.maps.idx4.get(key)
    }

    /// Where packets of a key over IPv6 are sent.
    pub fn find6(&self, key: &Tuple6) -> Option<Place6> {
        self.maps.idx6.get(key)
    }

    /// All keys over IPv4.
    pub fn keys4(&self) -> Vec<(Tuple4, Place)> {
        self.maps.idx4.entries()
    }

    /// All keys over IPv6.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keys6(&self) -> io::Result<Vec<(Tuple6, Place6)>> {
        self.maps.idx6.entries()
    }

    /// What the programs have counted since the maps were made, by [`Stat`].
    pub fn stats(&self) -> [u64; Stat::ALL.len()] {
        self.maps.stats()
    }

    /// Attaches to interfaces that have come, forgets those that have gone.
    pub fn refresh_interfaces(&self) {
        if let Programs::Attached(attachments, _) = &self.programs {
            if let Err(error) = attachments.lock().expect("attachments").refresh() {
                warn!("splice: {error:#}");
            }
        }
    }

    /// The interfaces and where the programs are on them.
    pub fn interfaces(&self) -> Vec<InterfaceState> {
        match &self.programs {
            Programs::Attached(attachments, _) => attachments.lock().expect("attachments").states(),
            Programs::Detached(_) => Vec::new(),
        }
    }

    /// Takes over which ports are listened on.
    ///
    /// # Errors
    /// There are too many.
    pub fn listen_on(&self, listeners: &[SocketAddr]) -> anyhow::Result<()> {
        self.maps.listen_on(listeners)
    }

    /// A descriptor of a loaded program, by its name in the object.
    ///
    /// # Errors
    /// There is none of that name, or it is not loaded.
    pub fn program(&self, name: &str) -> anyhow::Result<OwnedFd> {
        match &self.programs {
            Programs::Attached(attachments, _) => {
                attachments::descriptor(attachments.lock().expect("attachments").ebpf(), name)
            }
            Programs::Detached(ebpf) => attachments::descriptor(ebpf, name),
        }
    }

    /// Takes the programs off the interfaces and removes what is pinned: the flows end.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match &self.programs {
            Programs::Attached(_, pins) => pins.remove(),
            Programs::Detached(_) => Ok(()),
        }
    }
}

/// Refuses kernels without tcx.
///
/// # Errors
/// One line with the kernel's release and the one that is needed.
pub fn check_release() -> anyhow::Result<()> {
    let release = Release::running()?;
    let (major, minor) = FIRST;
    ensure!(
        release.is_at_least(FIRST),
        "Linux {release} has no tcx; it needs {major}.{minor} or newer"
    );
    Ok(())
}

/// Refuses to be on no interface at all.
fn must_be_somewhere(states: &[InterfaceState]) -> anyhow::Result<()> {
    let mut why = states.iter().filter_map(|state| {
        let why = state.why.as_ref()?;
        Some(format!("{}: {why}", state.name))
    });
    ensure!(
        states.iter().any(|state| state.hook.is_some()),
        "no interface can be used: {}",
        why.next()
            .unwrap_or_else(|| "no Ethernet or loopback interface is up".to_owned())
    );
    Ok(())
}
