//! Watches the kernel's neighbour table (rtnetlink) for next hops that move.
//!
//! It knows what the kernel itself is told: a broker that is checked over the network,
//! a router that other packets are sent to.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::info;

use super::kernel::SpliceKernel;
use super::next_hop::{Change, Mac, NextHops, follow, uses};

/// `RTNLGRP_NEIGH` (linux/rtnetlink.h).
const NEIGHBOURS: u32 = 3;

/// Bytes of a datagram at most; the kernel sends 32 KiB.
const DATAGRAM: usize = 64 << 10;

/// Lets flows follow next hops that get another MAC address; runs until the socket fails.
///
/// # Errors
/// The kernel refuses the socket, or sends what is not understood.
pub async fn watch(kernel: Arc<SpliceKernel>) -> anyhow::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE).context("opening a netlink socket")?;
    socket.bind_auto().context("binding a netlink socket")?;
    socket
        .add_membership(NEIGHBOURS)
        .context("subscribing to the neighbour table")?;
    socket.set_non_blocking(true)?;
    // The changes first, then the table: none is missed in between.
    ask(&socket)?;
    // SAFETY: the socket stays open, its AsyncFd owns it.
    let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
    let mut hops = NextHops::default();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let mut ready = socket.readable().await?;
        let received = ready.try_io(|socket| socket.get_ref().recv(&mut &mut buffer[..], 0));
        match received {
            Ok(Ok(length)) => {
                for message in messages(&buffer[..length])? {
                    take(&kernel, &mut hops, message)?;
                }
            }
            // Some were lost: read the whole table again.
            Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                ask(socket.get_ref())?;
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error).context("reading the neighbour table"),
            Err(_would_block) => {}
        }
    }
}

/// Asks for the whole table.
fn ask(socket: &Socket) -> anyhow::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket
        .send(&bytes, 0)
        .context("asking for the neighbour table")?;
    Ok(())
}

/// The messages of a datagram.
fn messages(mut bytes: &[u8]) -> anyhow::Result<Vec<NetlinkPayload<RouteNetlinkMessage>>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let message = NetlinkMessage::deserialize(bytes).context("a netlink message")?;
        // Each begins at a multiple of 4 bytes (NLMSG_ALIGNTO).
        let length = (message.header.length as usize).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
        messages.push(message.payload);
    }
    Ok(messages)
}

fn take(
    kernel: &SpliceKernel,
    hops: &mut NextHops,
    message: NetlinkPayload<RouteNetlinkMessage>,
) -> anyhow::Result<()> {
    match message {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry)) => {
            if let Some((address, Some(mac))) = next_hop(&entry) {
                if let Some(change) = hops.note(entry.header.ifindex, address, mac) {
                    follow_all(kernel, &change);
                }
            }
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelNeighbour(entry)) => {
            if let Some((address, _)) = next_hop(&entry) {
                let ifindex = entry.header.ifindex;
                // It may come back with another MAC address while flows have this one.
                let known = hops.mac(ifindex, address);
                if known.is_some_and(|mac| !is_used(kernel, ifindex, mac)) {
                    hops.forget(ifindex, address);
                }
            }
        }
        NetlinkPayload::Error(error) if error.code.is_some() => {
            bail!("the neighbour table: {}", error.to_io());
        }
        _ => {}
    }
    Ok(())
}

/// The address of an entry, and its MAC address where it is known.
fn next_hop(entry: &NeighbourMessage) -> Option<(IpAddr, Option<Mac>)> {
    let address = entry
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                Some(IpAddr::V4(*address))
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                Some(IpAddr::V6(*address))
            }
            _ => None,
        })?;
    let mac = entry
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => Mac::try_from(bytes.as_slice()).ok(),
            _ => None,
        });
    Some((address, mac))
}

fn follow_all(kernel: &SpliceKernel, change: &Change) {
    let slots = kernel.slots();
    // SAFETY: slots of the mapped array, valid as long as it is.
    let followed = (0..slots.len()).filter(|i| unsafe { follow(slots.at(*i), change) });
    let followed = followed.count();
    if followed > 0 {
        info!(
            "splice: {} has another MAC address; {followed} flows follow",
            change.address
        );
    }
}

fn is_used(kernel: &SpliceKernel, ifindex: u32, mac: Mac) -> bool {
    let slots = kernel.slots();
    // SAFETY: as above.
    (0..slots.len()).any(|i| unsafe { uses(slots.at(i), ifindex, mac) })
}
