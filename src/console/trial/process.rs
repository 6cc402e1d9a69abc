//! The process that tries policies: how it is started, how it limits itself, and how it ends.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use futures_util::future::join;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::job::TrialJob;

/// With what the program is started to try policies.
pub(crate) const ARGUMENT: &str = "try-policies-of-the-console";

/// How long a trial may take.
const LONGEST: Duration = Duration::from_secs(5);
/// The same in the time of its process, which counts also where nobody is left to end it. In seconds.
const LONGEST_WORK: u64 = 6;
/// How much memory a trial may take at most, in bytes. It is less where there is less.
const MOST_MEMORY: u64 = 1024 * 1024 * 1024;
/// The least with which it is tried, in bytes: what the program takes without doing anything, and some more.
const LEAST_MEMORY: u64 = 96 * 1024 * 1024;
/// The longest answer, in bytes: that of the largest matrix, and of many findings.
const LONGEST_ANSWER: u64 = 32 * 1024 * 1024;

/// Of how many the texts may be on their way at a time.
const MOST_SENDING: usize = 4;

/// Lets one trial at a time run.
pub(in crate::console) struct Trials {
    running: Semaphore,
    sending: Semaphore,
}

/// The leave to run one. It is given back when nothing of the trial runs any more.
pub(in crate::console) struct TrialPermit<'t>(
    #[expect(dead_code, reason = "it is held")] SemaphorePermit<'t>,
);

/// Why a trial has no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::console) enum TrialFailed {
    /// It would take too long.
    #[error("to check these texts takes more than 5 s: check them with `jeton policies check`")]
    TooSlow,
    /// Or more memory than it may have.
    #[error("to check these texts takes more memory than it may: check them with `jeton policies check`")]
    TooLarge,
    /// The process cannot be started, or heard.
    #[error("the process that checks texts failed: {0}")]
    Process(#[from] io::Error),
    /// What it should do cannot be written down.
    #[error("the texts cannot be handed over: {0}")]
    Job(#[from] serde_json::Error),
    /// A fault in jeton.
    #[error("to check these texts failed within jeton: please report this")]
    Fault,
}

impl Default for Trials {
    fn default() -> Self {
        Self { running: Semaphore::new(1), sending: Semaphore::new(MOST_SENDING) }
    }
}

impl Trials {
    /// Leave to send texts; `None` while others send theirs.
    pub(in crate::console) fn begin_sending(&self) -> Option<SemaphorePermit<'_>> {
        self.sending.try_acquire().ok()
    }

    /// Leave to run a trial; `None` while another one runs.
    pub(in crate::console) fn begin(&self) -> Option<TrialPermit<'_>> {
        self.running.try_acquire().ok().map(TrialPermit)
    }
}

impl TrialPermit<'_> {
    /// Runs a trial to its end. Where nobody waits for it any more, it ends too.
    ///
    /// # Errors
    /// [`TrialFailed`].
    pub(in crate::console) async fn run(&self, job: &TrialJob) -> Result<String, TrialFailed> {
        let job = serde_json::to_vec(job)?;
        let mut child = start()?;
        let heard = timeout(LONGEST, exchange(&mut child, &job)).await;
        let Ok(heard) = heard else {
            child.kill().await?;
            return Err(TrialFailed::TooSlow);
        };
        let answer = heard?;
        if answer.len() as u64 > LONGEST_ANSWER {
            child.kill().await?;
            return Err(TrialFailed::TooLarge);
        }
        let status = child.wait().await?;
        if status.success() {
            String::from_utf8(answer).map_err(|_| TrialFailed::Fault)
        } else {
            Err(why(status))
        }
    }
}

/// Starts the process, which knows nothing of the environment.
fn start() -> io::Result<Child> {
    Command::new(program()?)
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// This program, though another one may have taken its place on the disk.
fn program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// Hands over the job, and hears the answer to its end, or a little more than it may be long.
async fn exchange(child: &mut Child, job: &[u8]) -> io::Result<Vec<u8>> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let write = async {
        // who has ended does not read, and its status says why
        let _ = stdin.write_all(job).await;
        drop(stdin);
    };
    let mut answer = Vec::new();
    let mut stdout = stdout.take(LONGEST_ANSWER + 1);
    let ((), read) = join(write, stdout.read_to_end(&mut answer)).await;
    read?;
    Ok(answer)
}

/// Why the process ended without an answer: the program ends itself when it gets no memory, and the system ends it after
/// its time.
fn why(status: ExitStatus) -> TrialFailed {
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGABRT | SIGKILL) => TrialFailed::TooLarge,
        Some(SIGXCPU) => TrialFailed::TooSlow,
        _ => TrialFailed::Fault,
    }
}

/// What the program does that was started with [`ARGUMENT`]: the job on its standard input.
#[must_use]
pub(crate) fn answer_standard_input() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> Result<(), Box<dyn std::error::Error>> {
    limit(Resource::As, memory())?;
    limit(Resource::Cpu, LONGEST_WORK)?;
    limit(Resource::Core, 0)?;
    let mut job = Vec::new();
    io::stdin().lock().read_to_end(&mut job)?;
    let answer = TrialJob::answer(&job)?;
    io::stdout().lock().write_all(answer.as_bytes())?;
    Ok(())
}

/// Takes no more than this from now on.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let before = getrlimit(resource).maximum;
    let most = Some(before.map_or(most, |before| before.min(most)));
    Ok(setrlimit(resource, Rlimit { current: most, maximum: most })?)
}

/// How much memory this process may take: half of what is left to the container, for the server shares it.
fn memory() -> u64 {
    let left = left_to_container().map_or(MOST_MEMORY, |left| left / 2);
    left.clamp(LEAST_MEMORY, MOST_MEMORY)
}

/// How much memory the container may still take, by version 2 of control groups.
fn left_to_container() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = Path::new("/sys/fs/cgroup").join(group);
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}
