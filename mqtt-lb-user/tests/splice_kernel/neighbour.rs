//! Flows follow a next hop that gets another MAC address.

use std::ptr::{addr_of, addr_of_mut};
use std::sync::Arc;
use std::time::Duration;

use mqtt_lb_ebpf::splice_slot::state;
use mqtt_lb_user::datapath::splice::kernel::SpliceKernel;
use mqtt_lb_user::datapath::splice::neighbour;

use crate::place::{ip, run};

const OLD: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NEW: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Time within which it has to happen.
const SOON: Duration = Duration::from_secs(10);

fn mac(kernel: &SpliceKernel, slot: u32) -> [u8; 6] {
    // SAFETY: a slot of the mapped array.
    unsafe { addr_of!((*kernel.slots().at(slot)).lanes[1].peer_mac).read_volatile() }
}

fn flow(kernel: &SpliceKernel, slot: u32, ifindex: u32) {
    let slot = kernel.slots().at(slot);
    // SAFETY: nobody else writes the slot yet.
    unsafe {
        addr_of_mut!((*slot).state).write(state::FORWARD);
        addr_of_mut!((*slot).lanes[1].ifindex).write(ifindex);
        addr_of_mut!((*slot).lanes[1].peer_mac).write(OLD);
    }
}

/// Sets the MAC address of the next hop until the watcher has seen it.
async fn until(kernel: &SpliceKernel, slot: u32, lladdr: &str, wanted: [u8; 6]) {
    let seen = async {
        while mac(kernel, slot) != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    ip(&format!("neigh replace 10.9.0.9 lladdr {lladdr} dev va"));
    tokio::time::timeout(SOON, seen)
        .await
        .expect("the flow follows");
}

#[test]
fn flows_follow_their_next_hop() {
    run(|place| {
        ip("link add va index 77 type veth peer name vb");
        ip("addr add 10.9.0.1/24 dev va");
        ip("link set va up");
        // In the table before anybody watches.
        ip("neigh add 10.9.0.9 lladdr 02:00:00:00:00:01 dev va");
        let kernel = SpliceKernel::open(&place.config(), &[])
            .expect("open")
            .kernel;
        let kernel = Arc::new(kernel);
        flow(&kernel, 3, 77);
        flow(&kernel, 4, 78);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let watch = tokio::spawn(neighbour::watch(kernel.clone()));
            // The first answer of the kernel is the table as it was.
            tokio::time::sleep(Duration::from_millis(200)).await;
            until(&kernel, 3, "02:00:00:00:00:02", NEW).await;
            // Also when the entry has gone in between.
            ip("neigh del 10.9.0.9 dev va");
            until(&kernel, 3, "02:00:00:00:00:01", OLD).await;
            assert_eq!(mac(&kernel, 4), OLD, "another interface");
            assert!(!watch.is_finished());
            watch.abort();
        });
    });
}
