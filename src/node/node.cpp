#include "node/node.hpp"

#include "base/log.hpp"
#include "catalog/application.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/tls.hpp"
#include "host/exchange.hpp"
#include "host/signature_cache.hpp"
#include "metrics/exporter.hpp"
#include "node/admin_log.hpp"
#include "node/commands.hpp"
#include "node/control_server.hpp"
#include "node/manifest.hpp"
#include "node/measured_counters.hpp"
#include "node/members.hpp"
#include "node/metric_families.hpp"
#include "node/newcomer.hpp"
#include "node/readiness.hpp"
#include "node/seats.hpp"
#include "node/service_manager.hpp"
#include "node/status_document.hpp"
#include "node/status_report.hpp"
#include "node/status_server.hpp"
#include "roles/database_voter.hpp"
#include "roles/http_front.hpp"
#include "roles/primary.hpp"
#include "roles/usig_service.hpp"
#include "storage/store.hpp"
#include "usig/service_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/serialize.hpp>

#include <csignal>
#include <fstream>
#include <sys/resource.h>

namespace bft::node {

namespace json = boost::json;
namespace fs = std::filesystem;
using consensus::Endpoint;

namespace {

constexpr auto counter_patience = std::chrono::seconds(30);

// What the cluster file, or its join file, gives this host in counters.
std::map<UsigId, usig::PublicIdentity> own_identities(const ClusterFile& cluster,
                                                      const consensus::Membership& membership,
                                                      HostId self,
                                                      const std::optional<JoinFile>& join) {
    std::map<UsigId, usig::PublicIdentity> own;
    if (join) {
        for (const JoinFile::Counter& counter : join->all()) own.emplace(counter.id, counter.usig);
        return own;
    }
    std::vector<usig::PublicIdentity> all = cluster.usig_identities();
    auto take = [&](const consensus::Member& member) {
        if (member.host == self) own.emplace(member.usig, all.at(member.usig.value));
    };
    for (const consensus::Member& primary : membership.primaries) take(primary);
    for (const consensus::Group& group : membership.groups)
        for (const consensus::Member& member : group.members) take(member);
    for (const usig::PublicIdentity& spare : cluster.host(self).spare_counters)
        own.emplace(late_id(spare), spare);
    return own;
}

class IdentitySigner final : public consensus::Signer {
public:
    explicit IdentitySigner(const crypto::SigningKey& key) : key_(key) {}
    Bytes sign(const Digest& digest) override { return key_.sign(digest); }

private:
    const crypto::SigningKey& key_;
};

class Node {
public:
    Node(const NodeConfig& config, const ClusterFile& cluster, RunOptions options);
    ~Node();

    Result<void> open();
    int run();

private:
    // In this order; each needs those before it.
    Result<void> open_identity();
    Result<void> open_usig_service();
    Result<void> open_application();
    Result<void> open_verifier();
    Result<void> open_membership();
    Result<void> open_exchange();
    Result<void> open_engines();
    Result<void> open_voter();
    Result<void> open_windows_to_outside();
    Result<void> open_admin_log();
    Result<void> open_http();
    Result<void> start();

    Result<void> open_primary(PrimaryId id);
    [[nodiscard]] std::vector<consensus::BarrierCertPtr> proven() const;
    Result<host::DurableLog*> log_of_replicas();
    Result<host::DurableLog*> open_log(const char* name);
    Result<void> begin_log(host::DurableLog& log, const Endpoint& owner);
    Result<void> open_newcomer();
    Result<void> await_membership();
    [[nodiscard]] json::object status_of_newcomer() const;
    Result<usig::Standing> standing(UsigId identity);
    Result<database::ExecutorOptions> executor_options(VoterId self) const;

    [[nodiscard]] bool has(Role role) const { return options_.roles.contains(role); }
    [[nodiscard]] bool on_network() const {
        return has(Role::primary) || has(Role::replica) || has(Role::voter);
    }
    [[nodiscard]] bool overloaded() const;
    void stop(int exit_code);
    void fatal(const Error& error);
    void publish_metrics();

    void watch_database();
    void configured(const consensus::Configuration& newest);

    [[nodiscard]] json::object status() const;

    const NodeConfig& config_;
    const ClusterFile& cluster_;
    RunOptions options_;
    Members members_;
    const consensus::Membership& membership_ = members_.now();
    HostId self_{};
    std::optional<JoinFile> join_;  ///< of a host that is not in the cluster file
    host::SystemClock clock_;
    TimePoint started_at_ = clock_.now().mono;
    int exit_code_ = 0;
    bool started_ = false;
    bool stopping_ = false;

    boost::asio::io_context loop_{1};
    boost::asio::signal_set signals_{loop_, SIGTERM, SIGINT};
    std::optional<crypto::SigningKey> key_;
    std::optional<IdentitySigner> signer_;
    std::unique_ptr<roles::UsigServiceRole> usig_service_;
    std::optional<catalog::Application> application_;
    std::unique_ptr<boost::asio::ssl::context> tls_;
    std::unique_ptr<host::SignatureCache> signatures_;
    std::unique_ptr<Newcomer> newcomer_;  ///< likewise
    std::unique_ptr<host::ReplySigner> reply_signer_;
    std::unique_ptr<host::Exchange> exchange_;
    roles::EventLog events_{clock_};
    host::Stages stages_;
    std::unique_ptr<roles::Environment> environment_;
    std::unique_ptr<MeasuredCounters> counters_;
    std::vector<std::unique_ptr<storage::Store>> stores_;
    std::vector<std::unique_ptr<host::DurableLog>> logs_;
    host::DurableLog* replicas_log_ = nullptr;  ///< of logs_
    std::unique_ptr<roles::PrimaryRole> primary_;
    std::unique_ptr<Seats> seats_;  ///< once counters are at hand
    std::unique_ptr<roles::DatabaseVoterRole> voter_;
    std::unique_ptr<roles::HttpFront> http_;
    Readiness readiness_;
    std::unique_ptr<StatusServer> status_server_;
    ServiceManager service_manager_{
        loop_, [this] { return on_network() ? summary(status()) : "lends the TPM's counters"; }};
    std::optional<AdminLog> admin_log_;
    std::unique_ptr<Commands> commands_;
    std::unique_ptr<ControlServer> control_server_;
    std::unique_ptr<metrics::Exporter> exporter_;
    boost::asio::steady_timer metrics_timer_{loop_};
    boost::asio::steady_timer watch_timer_{loop_};
};

Node::Node(const NodeConfig& config, const ClusterFile& cluster, RunOptions options)
    : config_(config), cluster_(cluster), options_(std::move(options)), members_(cluster) {
    signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
        if (cancelled) return;
        log::info("stopping cause=signal signal={}", signal);
        stop(0);
    });
}

// Nothing may come in any more when the roles go, nothing may be written when the stores go.
Node::~Node() {
    if (exchange_) exchange_->stop();
    for (auto& log : logs_) log->stop();
}

Result<void> Node::open() {
    for (auto step :
         {&Node::open_identity, &Node::open_usig_service, &Node::open_application,
          &Node::open_verifier, &Node::open_membership, &Node::open_exchange, &Node::open_engines,
          &Node::open_voter, &Node::open_windows_to_outside, &Node::start}) {
        loop_.poll();  // a signal ends the opening, too
        if (stopping_) return {};
        if (auto done = (this->*step)(); !done) return done;
    }
    return {};
}

Result<void> Node::open_identity() {
    if (auto self = cluster_.host_id(config_.host)) {
        self_ = *self;
    } else {
        auto join = load_join_file(join_file_of(config_));
        if (!join)
            return error(Errc::not_found,
                         "host '" + config_.host + "' of " + config_.file.string() + " is not in " +
                             cluster_.file.string() + ", and " + join.error().what);
        if (join->cluster != members_.genesis().cluster)
            return error(Errc::refused, join_file_of(config_).string() +
                                            " was made for another cluster than " +
                                            cluster_.file.string());
        join_.emplace(std::move(*join));
    }
    std::error_code failure;
    fs::create_directories(config_.data_dir, failure);
    if (failure)
        return error(Errc::io,
                     "cannot create " + config_.data_dir.string() + ": " + failure.message());
    auto key = crypto::SigningKey::load(config_.identity_key);
    if (!key) return key.error();
    if (key->public_key() != (join_ ? join_->key : cluster_.host(self_).key))
        return error(Errc::refused, config_.identity_key.string() + " is not the key that the " +
                                        (join_ ? "join" : "cluster") + " file pins for host '" +
                                        config_.host + "'");
    key_.emplace(std::move(*key));
    signer_.emplace(*key_);
    return {};
}

Result<void> Node::open_usig_service() {
    if (!has(Role::usig)) return {};
    roles::UsigServiceOptions options;
    options.socket = config_.usig.socket;
    options.tokens = config_.usig.tokens;
    options.secrets = config_.usig.secrets;
    options.journal = config_.usig.journal;
    options.folder = config_.file.parent_path();
    options.tcti = config_.usig.tcti;
    options.allow_software = options_.insecure_software_usig;
    options.tpm_delay = config_.usig.tpm_delay;
    options.identities = own_identities(cluster_, membership_, self_, join_);
    auto service = roles::UsigServiceRole::open(loop_, options,
                                                [this](const Error& failure) { fatal(failure); });
    if (!service) return service.error();
    usig_service_ = std::move(*service);
    return {};
}

Result<void> Node::open_application() {
    if (!on_network()) return {};
    auto application = catalog::Application::load(cluster_.application.folder);
    if (!application) return application.error();
    if (application->digest() != cluster_.application.digest)
        return error(Errc::refused, "the application in " + cluster_.application.folder.string() +
                                        " is not the one of this cluster: its digest is " +
                                        hex(application->digest()) + ", the cluster file says " +
                                        hex(cluster_.application.digest));
    if (auto fits = application->fits(membership_.voters.size()); !fits) return fits;
    application_.emplace(std::move(*application));
    return {};
}

Result<void> Node::open_verifier() {
    if (!on_network()) return {};
    auto allow =
        options_.insecure_software_usig ? usig::AllowSoftware::yes : usig::AllowSoftware::no;
    if (auto done = members_.prepare_counters(allow); !done) return done;
    signatures_ = std::make_unique<host::SignatureCache>(
        [this](UsigId identity, const consensus::Ui& ui, const Digest& digest) {
            return members_.certified(identity, ui, digest);
        },
        [](ByteView key, const Digest& digest, ByteView signature) {
            return crypto::verify(key, digest, signature);
        });
    return {};
}

Result<void> Node::open_membership() {
    if (!on_network()) return {};
    auto tls = crypto::make_tls_context(*key_);
    if (!tls) return tls.error();
    tls_ = std::move(*tls);
    return join_ ? open_newcomer() : Result<void>();
}

// CF9: what this host is by now, its members say; it begins with their word, and nothing else.
Result<void> Node::open_newcomer() {
    newcomer_ = std::make_unique<Newcomer>(loop_, *tls_, members_, *signatures_, join_->key,
                                           config_.data_dir / "members");
    if (auto done = newcomer_->load(); !done) return done;
    if (!newcomer_->is_member())
        if (auto done = await_membership(); !done) return done;
    if (stopping_) return {};
    newcomer_->hang_up();
    self_ = *members_.host_of_key(join_->key);
    log::info("member host={} id={} version={}", config_.host, self_.value,
              members_.version().value);
    return {};
}

// The service manager hears that all is well: a host may wait for its admin for days.
Result<void> Node::await_membership() {
    log::warn(
        "not_a_member_yet host={} what=\"an admin runs `bftctl member replace` or `add` with {}\"",
        config_.host, join_file_of(config_).string());
    status_server_ = std::make_unique<StatusServer>(
        loop_, [this] { return json::serialize(status_of_newcomer()); });
    if (auto done = status_server_->listen(config_.status_socket); !done) return done;
    service_manager_.started();
    if (auto done = newcomer_->dial(); !done) return done;
    while (!stopping_ && !newcomer_->is_member() && !newcomer_->failure()) loop_.run_one();
    status_server_.reset();
    return newcomer_->failure() ? Result<void>(*newcomer_->failure()) : Result<void>();
}

json::object Node::status_of_newcomer() const {
    return {{"host", config_.host},
            {"version", BFT_VERSION},
            {"cluster", hex(membership_.cluster)},
            {"ready", false},
            {"draining", false},
            {"not_ready", json::array{"not a member yet: an admin runs `bftctl member replace` or "
                                      "`add` with " +
                                      config_.host + ".join"}}};
}

Result<void> Node::open_exchange() {
    if (!on_network()) return {};
    host::Exchange::Options options;
    options.verify.threads = config_.verify_threads;
    options.links.name = "links";
    options.links.send_bytes_max = config_.link_queue_bytes;
    exchange_ = std::make_unique<host::Exchange>(
        loop_, *tls_, clock_, members_.directory(*signatures_), *application_,
        options_.misbehaviour, [this] { return overloaded(); }, options);
    environment_ = std::make_unique<roles::Environment>(roles::Environment{
        loop_, clock_, members_.genesis(), membership_, *signer_, *exchange_, events_, stages_,
        [this](const Error& failure) { fatal(failure); },
        config_.http.has_value() && has(Role::replica), config_.retain_slots, options_.page_cost,
        [this](ConfigVersion version) { return voter_ && !voter_->has_followed(version); },
        [this](const consensus::Configuration& newest) { configured(newest); }});
    reply_signer_ = std::make_unique<host::ReplySigner>(
        loop_, membership_.cluster, [this](const Digest& digest) { return key_->sign(digest); });
    exchange_->sign_with(*reply_signer_);
    exchange_->measure(stages_);
    return {};
}

// Called by the engines, whichever hears of it first.
void Node::configured(const consensus::Configuration& newest) {
    if (seats_) seats_->follow();
    if (!members_.follow(newest)) return;
    auto directory = members_.directory(*signatures_);
    log::info("configuration_followed version={}", newest.version.value);
    if (newest.features() > consensus::features_max)
        return fatal(error(Errc::refused, consensus::too_new(newest.features())));
    if (!directory->takes_part(self_))
        log::error(
            "host_replaced version={} what=\"another host has the seats of {}; this one "
            "takes no part any more, and may be stopped for good\"",
            newest.version.value, config_.host);
    exchange_->know(std::move(directory));
}

// --- engines ---

Result<void> Node::open_engines() {
    if (!has(Role::primary) && !has(Role::replica)) return {};
    auto tokens = usig::protocol::load_tokens(config_.usig.tokens);
    if (!tokens) return tokens.error();
    usig::ServiceClient::Options client;
    client.socket = config_.usig.socket;
    client.tokens = std::move(*tokens);
    auto service = std::make_unique<usig::ServiceClient>(
        loop_, std::move(client), [](UsigId id, const std::optional<Error>& trouble) {
            if (trouble)
                log::warn("counter_unavailable identity={} what=\"{}\"", id.value, trouble->what);
            else
                log::info("counter_available identity={}", id.value);
        });
    counters_ = std::make_unique<MeasuredCounters>(std::move(service), clock_);
    if (has(Role::primary))
        for (std::uint32_t p = 0; p < membership_.primaries.size(); ++p)
            if (membership_.primaries[p].host == self_)
                if (auto done = open_primary(PrimaryId(p)); !done) return done;
    if (!has(Role::replica) || stopping_) return {};
    seats_ = std::make_unique<Seats>(
        Seats::Sources{loop_, *environment_, self_, config_.replica, *counters_,
                       [this] { return log_of_replicas(); }, [this] { return proven(); },
                       [this] { return stopping_; }});
    return seats_->open();
}

// What a newcomer has learnt, or what this host's primary follows.
std::vector<consensus::BarrierCertPtr> Node::proven() const {
    std::vector<consensus::BarrierCertPtr> known, followed;
    if (newcomer_) known = newcomer_->barriers();
    if (primary_) followed = primary_->configs().barriers();
    return known.size() < followed.size() ? followed : known;
}

Result<void> Node::open_primary(PrimaryId id) {
    auto log = open_log("primary");
    if (!log) return log.error();
    if (auto done = begin_log(**log, Endpoint::primary(id)); !done) return done;
    auto last = standing(membership_.primaries[id.value].usig);
    if (!last || stopping_) return last ? Result<void>() : last.error();
    auto role = roles::PrimaryRole::create(*environment_, id, config_.primary, *counters_, **log,
                                           *last, config_.tpm_patience);
    if (!role) return role.error();
    primary_ = std::move(*role);
    return {};
}

Result<host::DurableLog*> Node::log_of_replicas() {
    if (replicas_log_ != nullptr) return replicas_log_;
    auto log = open_log("replica");
    if (log) replicas_log_ = *log;
    return log;
}

// A role's log has a folder of its own, so that the roles of a host may share a process or not.
Result<host::DurableLog*> Node::open_log(const char* name) {
    auto store = storage::Store::open(config_.data_dir / name);
    if (!store) return store.error();
    stores_.push_back(std::move(*store));
    logs_.push_back(std::make_unique<host::DurableLog>(
        loop_, *stores_.back(), members_.genesis(),
        [this](const Error& failure) { fatal(failure); }, config_.retain_slots));
    return logs_.back().get();
}

// A new primary's log begins with the configurations up to its own; later ones come to it in order.
Result<void> Node::begin_log(host::DurableLog& log, const Endpoint& owner) {
    if (!newcomer_) return {};
    std::vector<consensus::BarrierCertPtr> there;
    if (auto done = log.load_barriers(there); !done) return done;
    if (!there.empty()) return {};
    std::vector<consensus::Persist> records;
    for (const consensus::BarrierCertPtr& each : newcomer_->barriers())
        records.push_back({consensus::BarrierRecord{each}});
    auto durable = std::make_shared<bool>(false);
    log.append(owner, std::move(records), [durable] { *durable = true; });
    while (!*durable && !stopping_) loop_.run_one();
    return {};
}

// T0, T1: before an engine runs it must know what its counter was spent on last.
Result<usig::Standing> Node::standing(UsigId identity) {
    auto give_up = std::chrono::steady_clock::now() + counter_patience;
    bool told = false;
    while (!stopping_) {
        std::optional<Result<usig::Standing>> answer;
        counters_->last(identity, [&answer](Result<usig::Standing> found) {
            answer.emplace(std::move(found));
        });
        while (!answer && !stopping_) loop_.run_one();
        if (stopping_) break;
        if (*answer || answer->error().code != Errc::unavailable) return *answer;
        if (std::chrono::steady_clock::now() > give_up)
            return error(
                Errc::unavailable,
                answer->error().what + "; start this host's USIG service (bftnode --role=usig)");
        if (!std::exchange(told, true))
            log::warn("counter_unavailable what=\"{}\" waiting=true", answer->error().what);
        boost::asio::steady_timer pause(loop_, std::chrono::milliseconds(100));
        bool over = false;
        pause.async_wait([&over](const boost::system::error_code&) { over = true; });
        while (!over) loop_.run_one();
    }
    return usig::Standing();
}

// --- the database ---

Result<database::ExecutorOptions> Node::executor_options(VoterId self) const {
    if (!config_.database)
        return error(Errc::not_found,
                     config_.file.string() + ": the role voter needs a [database] section");
    const DatabaseConfig& database = *config_.database;
    database::ExecutorOptions options;
    options.connect.socket = database.socket.string();
    options.connect.host = database.host;
    options.connect.port = database.port;
    options.connect.user = database.user;
    options.connect.database = database.name;
    options.connect.server = database.flavour == Flavour::mysql ? database::Server::mysql_8
                                                                : database::Server::mariadb_10_11;
    if (!database.password_file.empty()) {
        std::ifstream in(database.password_file);
        if (!std::getline(in, options.connect.password))
            return error(Errc::not_found, "cannot read the database's password from " +
                                              database.password_file.string());
    }
    options.cluster = membership_.cluster;
    options.self = self;
    options.workers = database.workers;
    options.batch_max = database.batch;
    options.install = true;
    if (cluster_.genesis) options.genesis = cluster_.genesis->root;
    return options;
}

Result<void> Node::open_voter() {
    if (!has(Role::voter)) return {};
    for (std::uint32_t d = 0; d < membership_.voters.size(); ++d) {
        if (membership_.voters[d] != self_) continue;
        auto options = executor_options(VoterId(d));
        if (!options) return options.error();
        auto role = roles::DatabaseVoterRole::create(*environment_, VoterId(d), config_.voter,
                                                     std::move(*options), *application_);
        if (!role) return role.error();
        voter_ = std::move(*role);
    }
    return {};
}

// --- running ---

Result<void> Node::open_windows_to_outside() {
    if (!on_network()) return {};
    status_server_ =
        std::make_unique<StatusServer>(loop_, [this] { return json::serialize(status()); });
    if (auto done = status_server_->listen(config_.status_socket); !done) return done;
    if (auto done = open_http(); !done) return done;
    if (auto done = open_admin_log(); !done) return done;
    commands_ = std::make_unique<Commands>(*admin_log_, readiness_, voter_.get(),
                                           membership_.cluster, cluster_.application.digest);
    control_server_ = std::make_unique<ControlServer>(
        loop_, [this](const Caller& caller, const std::string& line,
                      const ControlServer::Reply& reply) { commands_->obey(caller, line, reply); });
    if (auto done = control_server_->listen(control_socket_of(config_.status_socket)); !done)
        return done;
    if (config_.metrics.empty()) return {};
    auto exporter = metrics::Exporter::listen(config_.metrics);
    if (!exporter) return exporter.error();
    exporter_ = std::move(*exporter);
    publish_metrics();
    return {};
}

Result<void> Node::open_admin_log() {
    auto opened = AdminLog::open(config_.data_dir / "admin.log", config_.host);
    if (!opened) return opened.error();
    admin_log_.emplace(std::move(*opened));
    return admin_log_->record("start " BFT_VERSION, "ok");
}

// The replicas' front: a process without replicas has nothing to answer with.
Result<void> Node::open_http() {
    if (!config_.http || !has(Role::replica)) return {};
    const HttpConfig& http = *config_.http;
    std::unique_ptr<crypto::WebKey> web_key;
    if (!http.web_key.empty()) {
        if (join_)
            return error(Errc::refused,
                         "http.web_key: browsers know the keys of the cluster file only, and this "
                         "host is not in it");
        auto loaded = crypto::WebKey::load(http.web_key);
        if (!loaded) return loaded.error();
        if (loaded->public_key() != cluster_.host(self_).web_key)
            return error(Errc::refused,
                         http.web_key.string() +
                             " is not the web_key that the cluster file gives host '" +
                             config_.host + "'");
        web_key = std::make_unique<crypto::WebKey>(std::move(*loaded));
    }
    roles::HttpFrontOptions options;
    options.listen = http.listen;
    options.certificate = http.certificate;
    options.key = http.key;
    options.site = http.site;
    options.server = http.server;
    options.answer_timeout = http.answer_timeout;
    roles::HttpFrontSources sources;
    sources.host = config_.host;
    sources.self = self_;
    sources.manifest = manifest_json(cluster_, *application_);
    sources.status = [this] { return json::serialize(status()); };
    sources.not_ready = [this] {
        std::string why;
        const json::object now = status();
        for (const json::value& reason : now.at("not_ready").as_array())
            why += (why.empty() ? "" : "; ") + std::string(reason.as_string());
        return why;
    };
    sources.metrics = [this] { return metrics::to_text(metric_families(status())); };
    sources.owner = [this](PartitionId partition) {
        const consensus::Configuration* newest = seats_->newest();
        return newest != nullptr ? newest->owner(partition) : std::nullopt;
    };
    auto front = roles::HttpFront::create(*environment_, *application_, *key_, std::move(web_key),
                                          std::move(options), std::move(sources));
    if (!front) return front.error();
    http_ = std::move(*front);
    return {};
}

// A database that works on something and finishes nothing is seen only by looking again and again.
void Node::watch_database() {
    json::object voter = voter_->report();
    readiness_.observe(voter.at("executed").to_number<std::uint64_t>(),
                       voter.at("in_flight").to_number<std::uint64_t>(), clock_.now().mono);
    watch_timer_.expires_after(std::chrono::seconds(1));
    watch_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) watch_database();
    });
}

void Node::publish_metrics() {
    exporter_->publish(metric_families(status()));
    metrics_timer_.expires_after(std::chrono::seconds(1));
    metrics_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) publish_metrics();
    });
}

Result<void> Node::start() {
    if (on_network()) {
        std::string listen =
            config_.listen.empty() ? members_.hosts().at(self_).address : config_.listen;
        if (auto done = exchange_->start(listen, self_); !done) return done;
        if (primary_) primary_->start();
        if (seats_) seats_->start();
        if (voter_) {
            voter_->start();
            watch_database();
        }
        if (http_)
            if (auto done = http_->start(); !done) return done;
        log::info("node_started host={} cluster={} listen={}", config_.host,
                  short_hex(membership_.cluster), listen);
    }
    started_ = true;
    service_manager_.started();
    return {};
}

int Node::run() {
    if (auto opened = open(); !opened) {
        log::error("cannot_start what=\"{}\"", opened.error().what);
        return 1;
    }
    if (!stopping_) loop_.run();
    log::info("node_stopped host={} exit={}", config_.host, exit_code_);
    if (admin_log_ && !admin_log_->record("stop", "exit " + std::to_string(exit_code_)))
        log::warn("admin_log_not_written");
    return exit_code_;
}

json::object Node::status() const {
    if (!exchange_) return status_of_newcomer();
    StatusSource source{
        config_,           cluster_, options_,       membership_, self_,        exchange_.get(),
        signatures_.get(), &events_, primary_.get(), {},          voter_.get(), {}};
    // Those of groups that were removed have nothing to catch up with.
    if (seats_)
        for (const auto& replica : seats_->replicas())
            if (!membership_.group(replica->self().group)->removed())
                source.replicas.push_back(replica.get());
    for (const auto& log : logs_) source.logs.push_back(log.get());
    source.started = started_;
    source.stages = &stages_;
    source.readiness = &readiness_;
    if (counters_) source.certificates = &counters_->latency();
    source.now = clock_.now().mono;
    source.uptime = source.now - started_at_;
    json::object document = describe(source);
    if (http_) document["http"] = http_->report();
    return document;
}

void Node::stop(int exit_code) {
    if (std::exchange(stopping_, true)) return;
    exit_code_ = exit_code;
    loop_.stop();
}

void Node::fatal(const Error& failure) {
    if (!stopping_) log::error("cannot_go_on what=\"{}\"", failure.what);
    stop(1);
}

bool Node::overloaded() const {
    if (primary_ && primary_->congested()) return true;
    if (seats_)
        for (const auto& replica : seats_->replicas())
            if (replica->congested()) return true;
    return voter_ && voter_->congested();
}

}  // namespace

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log::warn("descriptor_limit_not_raised limit={}", limit.rlim_cur);
}

int run(const NodeConfig& config, const ClusterFile& cluster, RunOptions options) {
    Node node(config, cluster, std::move(options));
    return node.run();
}

}  // namespace bft::node
