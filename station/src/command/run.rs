//! The program: from what was typed to an exit code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{CommandFactory, Parser};

use super::arguments::{Arguments, GlobalArguments};
use super::lower::{Action, lower};
use super::output::Output;
use super::{
    CommandError, Request, audit, demo, doctor, execute, fleet, log, read, registry_admin, witness,
};
use crate::app::{self, App, AppError};
use crate::event::{AnswerStyle, ErrorBody, Event, EventSink, JsonSink, Summary};
use crate::exit::ExitCode;
use crate::home::{self, HomeError, LogKeyConfig};
use crate::journal::InterruptedRun;
use crate::operator::Token;
use crate::socket::{self, Answer, Call, Server, SocketError};
use crate::stop::Stop;

/// How long a command waits for a home that another command is just opening or letting go of.
const OWNER_PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks.
const OWNER_LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Runs `keyline` with these arguments (the first one is the program's name) and gives the exit code.
///
/// Everything that is written goes to standard output and standard error; the last event is a summary.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let begun = Instant::now();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // What this process makes is its user's alone, databases and sockets of libraries included.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let hardening = crate::secret::harden_process();
    let stop = Stop::new();
    let Arguments { global, command } = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return refuse_arguments(&error, &arguments, &stop),
    };
    let action = lower(command, global.home.clone());
    let style = action.as_ref().map_or(AnswerStyle::Detail, answer_style);
    let output = Output::new(&global, style, &stop);
    let sink = Arc::clone(&output.sink);
    if !hardening.complete() {
        sink.emit(Event::Warning {
            message: "the system would write a core dump of this process, with whatever it holds"
                .to_owned(),
            next: "Run `ulimit -c 0` before, and look at /proc/sys/fs/suid_dumpable.".to_owned(),
        });
    }
    let summary = action
        .and_then(|action| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|source| CommandError::System {
                    doing: "start its threads",
                    source,
                })?;
            let context = Context {
                global,
                sink: Arc::clone(&sink),
                stop,
            };
            let summary = runtime.block_on(context.act(action));
            // A blocked thread, such as one that waits for a probe, must not keep the program from ending.
            runtime.shutdown_timeout(Duration::from_secs(2));
            summary
        })
        .unwrap_or_else(|error| execute::failed(&error, sink.as_ref(), begun));
    let exit_code = summary.exit_code;
    sink.emit(Event::Summary(summary));
    output.exit_code(exit_code)
}

fn answer_style(action: &Action) -> AnswerStyle {
    match action {
        Action::Request(request) if request.is_list() => AnswerStyle::Table,
        _ => AnswerStyle::Detail,
    }
}

/// `--help` and `--version` end well; anything else that clap stops at is wrong usage, of which a script hears on its own channel too.
fn refuse_arguments(error: &clap::Error, arguments: &[OsString], stop: &Stop) -> ExitCode {
    // Nobody reads it: nothing can be said about that.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::Success;
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let sink = JsonSink::new(std::io::stdout(), stop.clone());
        let message = error.to_string();
        let message = message.trim_start_matches("error: ").lines().next();
        sink.emit(Event::Error {
            error: ErrorBody {
                code: "usage".to_owned(),
                message: message.unwrap_or_default().to_owned(),
                next: "See `keyline help`.".to_owned(),
            },
        });
        sink.emit(Event::Summary(Summary::without_units(ExitCode::Usage, 0)));
    }
    ExitCode::Usage
}

/// What every action works with.
struct Context {
    global: GlobalArguments,
    sink: Arc<dyn EventSink>,
    stop: Stop,
}

impl Context {
    fn home_path(&self) -> PathBuf {
        self.global.home.clone().unwrap_or_else(home::default_path)
    }

    async fn act(&self, action: Action) -> Result<Summary, CommandError> {
        let begun = Instant::now();
        let log_home = match &action {
            Action::Request(_) => Some(self.home_path()),
            _ => None,
        };
        let verbose = self.global.verbose;
        match action {
            Action::Completions(shell) => {
                let mut command = Arguments::command();
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command, "keyline", &mut script);
                return print(&script, begun);
            }
            Action::Man => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Arguments::command())
                    .render(&mut page)
                    .map_err(writing)?;
                return print(&page, begun);
            }
            _ => {}
        }
        match &action {
            Action::Demo(_) => {}
            // Nobody asks a service again with -v: what it refuses is told at once.
            Action::Witness(request) if request.is_service() => log::start(verbose.max(1), None),
            _ => log::start(verbose, log_home.as_deref()),
        }
        super::signal::watch(&self.stop)?;
        match action {
            Action::Request(request) => self.request(request).await,
            Action::Demo(request) => demo::run(request, verbose, &self.sink, &self.stop).await,
            Action::Init(options) => self.init(options).await,
            Action::Audit(action) => {
                audit::run(action, &self.home_path(), self.sink.as_ref()).await
            }
            Action::Replace(options) => self.replace(options).await,
            Action::Witness(request) => witness::run(request, self.sink.as_ref(), &self.stop).await,
            Action::Fleet(check) => fleet::dry_run(&check, self.sink.as_ref(), &self.stop).await,
            Action::Authority(command) => super::authority::run(command, self.sink.as_ref()).await,
            Action::Registry(request) => {
                registry_admin::run(request, &self.home_path(), self.sink.as_ref()).await
            }
            Action::MakeKey(key) => {
                super::log_key::make(&self.home_path(), key, self.sink.as_ref()).await?;
                let elapsed_ms = execute::elapsed_ms(begun);
                Ok(Summary::without_units(ExitCode::Success, elapsed_ms))
            }
            Action::Doctor => doctor::run(&self.home_path(), self.sink.as_ref()).await,
            Action::Completions(_) | Action::Man => {
                Ok(Summary::without_units(ExitCode::Success, 0))
            }
        }
    }

    async fn init(&self, options: app::InitOptions) -> Result<Summary, CommandError> {
        let begun = Instant::now();
        let created = app::init(&self.home_path(), options).await?;
        let app = created.app;
        let path = app.home().path().to_owned();
        self.sink.emit(Event::Notice {
            message: format!(
                "Made a station at {}.\n  station   {} ({})\n  audit log {}\n  operator  administrator, token in {}\n\n{}\n{}\n{}Next:\n  keyline --home {home} doctor\n  keyline --home {home} product add --help",
                path.display(),
                app.home().config().station.name,
                app.home().station(),
                verifier_keys(&app),
                created.token_file.display(),
                key_place(&app),
                authority(&app)?,
                no_slot(&app),
                home = path.display(),
            ),
        });
        let mut summary = Summary::without_units(ExitCode::Success, execute::elapsed_ms(begun));
        summary.checkpoint = Some(app.journal().checkpoint().to_string());
        summary.home = Some(path);
        app.close().await?;
        Ok(summary)
    }

    async fn replace(&self, options: app::ReplaceOptions) -> Result<Summary, CommandError> {
        let begun = Instant::now();
        let old_home = self.home_path();
        let config = home::read_config(&old_home)?;
        let token = Token::read(&self.token_file(&old_home, &config))?;
        let created = app::replace(&old_home, &token, options).await?;
        let app = created.app;
        let path = app.home().path().to_owned();
        // A registry that is a file in the home did not move with it.
        let registry = home::registry_url_in(&old_home, &config.registry.url);
        let pins = if registry == app.home().registry_url() {
            String::new()
        } else {
            format!(
                "\n  the pins so far stay in the old registry ({registry}): to go on with it, set registry.url to it"
            )
        };
        self.sink.emit(Event::Notice {
            message: format!(
                "Made a station at {} in the place of the one at {}, which is read-only from now on.\n  audit log {}\n  operator  administrator, token in {}\nNext:\n  have its witnesses trust the new log (`keyline witness trust`)\n  add the work orders again, for the units that are left{pins}\n  keyline --home {} doctor",
                path.display(),
                old_home.display(),
                verifier_keys(&app),
                created.token_file.display(),
                path.display(),
            ),
        });
        let mut summary = Summary::without_units(ExitCode::Success, execute::elapsed_ms(begun));
        summary.checkpoint = Some(app.journal().checkpoint().to_string());
        summary.home = Some(path);
        app.close().await?;
        Ok(summary)
    }

    fn token_file(&self, home: &Path, config: &home::Config) -> PathBuf {
        match &self.global.operator_token {
            Some(path) => path.clone(),
            None => home.join(&config.operator.token_file),
        }
    }

    /// A question goes to the journal at once; anything else is done here by whoever owns the home, or there by its owner.
    async fn request(&self, request: Request) -> Result<Summary, CommandError> {
        let begun = Instant::now();
        let home = self.home_path();
        let config = home::read_config(&home)?;
        if request.is_answered_beside() {
            read::answer_beside(&home, &config, &request, self.sink.as_ref()).await?;
            let elapsed_ms = execute::elapsed_ms(begun);
            let mut summary = Summary::without_units(ExitCode::Success, elapsed_ms);
            summary.home = Some(home);
            return Ok(summary);
        }
        let token_file = self.token_file(&home, &config);
        let token = || match request.permission() {
            Some(_) => Token::read(&token_file).map(Some),
            None => Ok(None),
        };
        loop {
            let error = match App::open(&home).await {
                Ok(app) => {
                    let call = Call {
                        token: token()?,
                        request: request.clone(),
                    };
                    return self.own(app, call).await;
                }
                Err(AppError::Home(error @ HomeError::Owned { .. })) => error,
                Err(error) if error.leaves_questions() && request.permission().is_none() => {
                    read::answer_beside(&home, &config, &request, self.sink.as_ref()).await?;
                    let elapsed_ms = execute::elapsed_ms(begun);
                    return Ok(Summary::without_units(ExitCode::Success, elapsed_ms));
                }
                Err(error) => return Err(error.into()),
            };
            let token = token()?;
            let asked = socket::call(
                &home,
                token.as_ref(),
                request.clone(),
                self.sink.as_ref(),
                &self.stop,
            )
            .await;
            let error = match asked {
                Ok(Answer::Done(summary)) => return Ok(summary),
                Ok(Answer::NotBegun) => error.into(),
                Err(refused @ SocketError::NotListening { .. }) => {
                    // The owner is named first: that nobody answers may have to do with how it is doing.
                    tracing::debug!(socket.error = %super::chain(&refused), "the owner does not answer yet");
                    error.into()
                }
                Err(error) => return Err(error.into()),
            };
            if begun.elapsed() > OWNER_PATIENCE || self.stop.requested() {
                return Err(error);
            }
            tokio::time::sleep(OWNER_LOOK_PERIOD).await;
        }
    }

    /// Carries out a call on a home that this process owns, and those of other processes meanwhile.
    async fn own(&self, app: App, call: Call) -> Result<Summary, CommandError> {
        let app = Arc::new(app);
        warn_of_interrupted(app.interrupted(), self.sink.as_ref());
        let work = execute::execute(
            Arc::clone(&app),
            call,
            Arc::clone(&self.sink),
            self.stop.clone(),
        );
        let summary = serve_while(&app, &self.stop, work).await?;
        Ok(close(app, summary, self.sink.as_ref()).await)
    }
}

/// Does `work` on a home that this process owns, and takes the calls of other processes meanwhile.
pub(super) async fn serve_while<T>(
    app: &Arc<App>,
    stop: &Stop,
    work: impl Future<Output = T>,
) -> Result<T, CommandError> {
    let for_others = Arc::clone(app);
    let server = Server::start(
        app.home(),
        stop.clone(),
        move |call, sink: Arc<dyn EventSink>, stop| {
            execute::execute(Arc::clone(&for_others), call, sink, stop)
        },
    )?;
    let done = work.await;
    server.shut_down().await;
    Ok(done)
}

/// Lets go of the home, unless something still holds on to it; then the kernel does when the process ends.
///
/// What the command did is on disk and stays counted, whatever becomes of the last leaf. A journal or a key that fails only now is told
/// of; one that failed before has said so to the command that met it.
pub(super) async fn close(app: Arc<App>, summary: Summary, sink: &dyn EventSink) -> Summary {
    let mut summary = summary;
    if let Some(app) = Arc::into_inner(app)
        && let Err(error) = app.close().await
        && summary.exit_code != ExitCode::AuditRefused
    {
        let error = CommandError::from(error);
        tracing::error!(error = %super::chain(&error), "the home could not be let go of in good order");
        sink.emit(Event::Error {
            error: error.body(),
        });
        summary.exit_code = error.exit_code();
    }
    summary
}

/// What auditors are given.
fn verifier_keys(app: &App) -> String {
    let keys = app.journal().verifier_keys();
    let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
    keys.join(" ")
}

/// Where the audit log's key is.
fn key_place(app: &App) -> String {
    match app.log_keys().first().map(|key| &key.place) {
        Some(LogKeyConfig::Token { token, label, .. }) => {
            format!("The audit log's key is \"{label}\" in the token \"{token}\".")
        }
        _ => "The audit log's key is a file: fine to try things out; for a factory keep it in a token.".to_owned(),
    }
}

/// Who may say yes.
fn authority(app: &App) -> Result<String, CommandError> {
    let policy = app.root_policy()?;
    Ok(if policy.is_demo() {
        format!(
            "The authority is a demonstration: its key is in {}, and no production registry takes its products. For a factory see docs/CEREMONY.md.",
            app.home().path().join(app::DEMO_KEY_FILE).display()
        )
    } else {
        format!(
            "The authority is the root {}: {} of {} keys, digest {}.",
            policy.name(),
            policy.threshold(),
            policy.keys().len(),
            hex::encode(policy.digest())
        )
    })
}

/// A station without slots runs no unit: better hear of it now than from `provision`.
fn no_slot(app: &App) -> String {
    if !app.home().config().slots.is_empty() {
        return String::new();
    }
    let config = app.home().path().join(home::CONFIG_FILE);
    format!(
        "It has no slot yet: add one to {} for each fixture position, for instance\n  [[slot]]\n  number = 1\n  link = \"probe:1366:1015:000683012345\"\n",
        config.display()
    )
}

/// Tells of runs that were left open.
pub(super) fn warn_of_interrupted(interrupted: &[InterruptedRun], sink: &dyn EventSink) {
    let count = interrupted.len();
    if count > 0 {
        sink.emit(Event::Warning {
            message: format!(
                "{count} runs were interrupted when the station last stopped; their units' states are known"
            ),
            next: "Provision these units again: they go on where they stopped. `keyline unit list --state in-progress` lists them.".to_owned(),
        });
    }
}

fn writing(source: std::io::Error) -> CommandError {
    CommandError::System {
        doing: "write its output",
        source,
    }
}

fn print(text: &[u8], begun: Instant) -> Result<Summary, CommandError> {
    use std::io::Write;
    let mut out = std::io::stdout();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(writing)?;
    let elapsed_ms = execute::elapsed_ms(begun);
    Ok(Summary::without_units(ExitCode::Success, elapsed_ms))
}

/// The home's log directory, for whoever opens a home by another way than [`run`].
pub(super) fn log_directory(home: &Path) -> PathBuf {
    home.join("log")
}
