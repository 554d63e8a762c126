//! Commands that mend, written for the host that they are for: Debian's boot loader files, systemd's
//! folders, `sudo` only where it is needed. What no command can do stands behind a `#`, so that every
//! mend may be pasted into a shell.

use super::host::Host;

const GRUB: &str = "/etc/default/grub";
const RASPBERRY: &str = "/boot/firmware/cmdline.txt";
const KERNEL_INSTALL: &str = "/etc/kernel/cmdline";

/// Whether this host boots from files that are known here.
pub fn has_boot_loader(host: &Host) -> bool {
    [GRUB, RASPBERRY, KERNEL_INSTALL].into_iter().any(|path| host.exists(path))
}

/// Adds arguments to the kernel's command line; `name` is that of the file that keeps them.
pub fn kernel_argument(host: &Host, name: &str, argument: &str) -> String {
    if host.exists(GRUB) {
        format!(
            "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {argument}\"' | sudo tee \
             /etc/default/grub.d/mechos-{name}.cfg && sudo update-grub && sudo reboot"
        )
    } else if host.exists(RASPBERRY) {
        format!("sudo sed -i '1s/$/ {argument}/' /boot/firmware/cmdline.txt && sudo reboot")
    } else if host.exists(KERNEL_INSTALL) {
        format!(
            "sudo sed -i '1s/$/ {argument}/' /etc/kernel/cmdline && sudo kernel-install add \
             \"$(uname -r)\" \"/boot/vmlinuz-$(uname -r)\" && sudo reboot"
        )
    } else {
        format!(
            "# no boot loader's file was found here: where this machine is booted from, add to the \
             kernel command line\n#   {argument}\n# and reboot"
        )
    }
}

/// Sets a sysctl, now and at every boot. `name` as in `kernel.timer_migration`.
pub fn sysctl(name: &str, value: &str) -> String {
    let file = format!("/etc/sysctl.d/90-mechos-{}.conf", name.replace('.', "-"));
    let path = name.replace('.', "/");
    format!("echo {value} | sudo tee /proc/sys/{path} && echo '{name} = {value}' | sudo tee {file}")
}

/// Writes values into files of sysfs, now and, where systemd is, at every boot.
pub fn sysfs(host: &Host, name: &str, value: &str, paths: &[String]) -> String {
    if !host.exists("/run/systemd/system") {
        return format!("echo {value} | sudo tee {}", paths.join(" "));
    }
    let lines: Vec<String> =
        paths.iter().map(|path| format!("'w {path} - - - - {value}'")).collect();
    let file = format!("/etc/tmpfiles.d/mechos-{name}.conf");
    format!(
        "printf '%s\\n' {} | sudo tee {file} && sudo systemd-tmpfiles --create {file}",
        lines.join(" ")
    )
}

/// As this user types it: root needs no `sudo`.
pub fn for_user(mend: &str, is_root: bool) -> String {
    if is_root { mend.replace("sudo ", "") } else { mend.to_owned() }
}
