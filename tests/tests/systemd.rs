//! What a service manager is told (sd_notify(3)): ready, reloading, stopping.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use mqtt_lb_tests::lb::binary;
use mqtt_lb_tests::process::Process;
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo};

const WAIT: Duration = Duration::from_secs(10);

/// The next message, as its lines.
fn told(manager: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 4096];
    let n = manager.recv(&mut buffer).expect("a message in time");
    let text = String::from_utf8_lossy(&buffer[..n]);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_service_manager_follows_the_life_of_the_process() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    let solo = Solo::new(1);
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("socket");
    manager.set_read_timeout(Some(WAIT)).expect("timeout");
    let file = dir.path().join("lb.toml");
    let backend = solo.backends()[0];
    let config = format!(
        "datapath = [\"copy\"]\n[admin]\nsocket = \"off\"\n[http]\nlisten = \"off\"\n\
         [listener.mqtt]\nbind = \"{FRONT}\"\npool = \"p\"\n\
         [[pool.p.backend]]\nname = \"b\"\naddress = \"{backend}\"\n"
    );
    fs::write(&file, &config).expect("configuration");
    let mut command = solo.ns.command(binary());
    command.arg("run").arg("-f").arg(&file);
    command.env("NOTIFY_SOCKET", &path);
    let mut lb = Process::start("mqtt-lb", dir.path(), &mut command);

    assert_eq!(told(&manager), ["READY=1"]);
    solo.ns.connect(FRONT).expect("it is ready: it accepts");

    for text in [config.clone(), "nonsense".to_owned()] {
        fs::write(&file, text).expect("configuration");
        lb.signal(libc::SIGHUP);
        let reloading = told(&manager);
        assert_eq!(reloading[0], "RELOADING=1");
        // systemd.service(5), Type=notify-reload, wants to know since when.
        assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
        assert_eq!(told(&manager), ["READY=1"], "whether it took it or not");
    }

    lb.signal(libc::SIGTERM);
    assert_eq!(told(&manager), ["STOPPING=1"]);
    assert!(lb.wait(Duration::from_secs(40)).success());
}
