//! Commands that mend, written for the host that they are for: Debian's boot loader files, systemd's
//! folders, `sudo` only where it is needed.

use super::host::Host;

/// Adds an argument to the kernel's command line.
pub fn kernel_argument(host: &Host, argument: &str) -> String {
    let name = argument.split(['=', '.']).next().unwrap_or("argument");
    if host.exists("/etc/default/grub") {
        format!(
            "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {argument}\"' | sudo tee \
             /etc/default/grub.d/mechos-{name}.cfg && sudo update-grub && sudo reboot"
        )
    } else if host.exists("/boot/firmware/cmdline.txt") {
        format!("sudo sed -i '1s/$/ {argument}/' /boot/firmware/cmdline.txt && sudo reboot")
    } else if host.exists("/etc/kernel/cmdline") {
        format!(
            "sudo sed -i '1s/$/ {argument}/' /etc/kernel/cmdline && sudo kernel-install add \
             \"$(uname -r)\" \"/boot/vmlinuz-$(uname -r)\" && sudo reboot"
        )
    } else {
        format!(
            "add  {argument}  to the kernel command line where this machine is booted from (no \
             boot loader's file was found here), then reboot"
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
