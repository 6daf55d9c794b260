use anyhow::{Context as _, Result, ensure};

/// What the pod of the text says about its secret. The text has lost its indentation, so it is read line by line.
#[derive(Debug)]
pub(crate) struct Pod {
    key: String,
    path: String,
    mode: u32,
    mount_path: String,
}

impl Pod {
    /// Reads it.
    ///
    /// # Errors
    /// If it does not mount the volume that it declares, or something is missing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fields = || text.lines().filter_map(|line| line.trim_start_matches("- ").split_once(": "));
        let all = |name: &str| fields().filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect::<Vec<_>>();
        let one = |name: &str| all(name).pop().with_context(|| format!("no `{name}` in the pod"));
        let names = all("name");
        ensure!(names.first() == names.last() && names.len() == 3, "the volume, the container, the mount of the volume: {names:?}");
        ensure!(one("readOnly")? == "true" && !one("secretName")?.is_empty(), "not a secret that is only read");
        // YAML 1.1, which Kubernetes reads: a number with a leading 0 is octal.
        let mode = u32::from_str_radix(&one("defaultMode")?, 8)?;
        Ok(Self { key: one("key")?, path: one("path")?, mode, mount_path: one("mountPath")? })
    }

    /// Where the container finds the secret's file.
    pub(crate) fn file(&self) -> String {
        format!("{}/{}", self.mount_path, self.path)
    }

    /// With which permissions.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// What lays out the secret as a kubelet does: in a volume in memory, behind links that are changed at once when the secret is. The value of the
    /// secret's key is in the file of that name.
    pub(crate) fn layout(&self) -> String {
        let Self { key, path, mode, mount_path } = self;
        format!(
            "mkdir -p {mount_path}
             mount -t tmpfs tmpfs {mount_path}
             mkdir {mount_path}/..2026_01_02_03_04_05.678
             cp {key} {mount_path}/..2026_01_02_03_04_05.678/{path}
             chmod {mode:o} {mount_path}/..2026_01_02_03_04_05.678/{path}
             ln -s ..2026_01_02_03_04_05.678 {mount_path}/..data
             ln -s ..data/{path} {mount_path}/{path}
             mount -o remount,ro {mount_path}\n"
        )
    }
}
