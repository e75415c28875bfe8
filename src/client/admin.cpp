#include "client/admin.hpp"

#include "consensus/signed_bytes.hpp"
#include "crypto/tls.hpp"
#include "wire/codec.hpp"

#include <algorithm>
#include <optional>

namespace bft::client {

using consensus::Endpoint;

namespace {

constexpr Duration ask_every = 200ms;

TimePoint now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// As far as whoever has no cluster file can tell: neither voters nor counters are known to it.
bool same_change(const consensus::Configuration& a, const consensus::Configuration& b) {
    auto same_seats = [](const consensus::Group& one, const consensus::Group& other) {
        return one.id == other.id && one.retired == other.retired &&
               one.members.size() == other.members.size();
    };
    return a.version == b.version && a.owners == b.owners && a.hosts == b.hosts &&
           a.clients == b.clients && a.admins == b.admins && a.parameters == b.parameters &&
           std::ranges::equal(a.groups, b.groups, same_seats);
}

}  // namespace

Result<std::vector<crypto::SigningKey>> load_keys(const std::vector<std::string>& files) {
    std::vector<crypto::SigningKey> keys;
    for (const std::string& file : files) {
        auto key = crypto::SigningKey::load(file);
        if (!key) return key.error();
        keys.push_back(std::move(*key));
    }
    return keys;
}

Result<consensus::Body> sign_change(const Digest& cluster, const consensus::AdminKeys& admins,
                                    consensus::ConfigChange change,
                                    const std::vector<crypto::SigningKey>& keys) {
    if (admins.quorum == 0)
        return error(Errc::refused, "this cluster has no admin keys: its configuration is fixed");
    const Digest digest = consensus::change_digest(cluster, change);
    std::map<std::uint32_t, Bytes> signatures;
    std::optional<consensus::AdminSignature> by_mover;
    for (const crypto::SigningKey& key : keys) {
        const Bytes public_key = key.public_key();
        std::uint32_t index = 0;
        while (admins.key(index) != nullptr && *admins.key(index) != public_key) ++index;
        if (admins.key(index) == nullptr)
            return error(Errc::refused, "one of the keys is no admin key of this cluster");
        if (index < admins.keys.size())
            signatures[index] = key.sign(digest);
        else if (consensus::of_movers_kind(change))
            by_mover = {index, key.sign(digest)};
        else
            return error(Errc::refused,
                         "one of the keys may move partitions, add and remove groups, and "
                         "nothing else");
    }
    if (by_mover)
        signatures = {{by_mover->key, std::move(by_mover->signature)}};
    else if (signatures.size() < admins.quorum)
        return error(Errc::refused, std::to_string(signatures.size()) + " admin key(s) given, " +
                                        std::to_string(admins.quorum) + " must sign together");
    change.signatures.clear();
    for (auto& [key, signature] : signatures)
        change.signatures.push_back({key, std::move(signature)});
    auto request = std::make_shared<consensus::Request>(consensus::config_request(change));
    request->raw = wire::encode_request(*request);
    request->rd = consensus::request_digest(request->raw);
    return consensus::Body(std::move(request));
}

Admin::Admin(Config config, consensus::Membership membership,
             std::unique_ptr<boost::asio::ssl::context> tls)
    : config_(std::move(config)),
      hosts_(config_, std::move(membership)),
      history_(membership_),
      tls_(std::move(tls)) {}

Admin::~Admin() {
    if (links_) links_->close();
}

Result<std::unique_ptr<Admin>> Admin::open(Config config) {
    consensus::Membership membership = membership_of(config);
    return open(std::move(config), std::move(membership));
}

Result<std::unique_ptr<Admin>> Admin::open(Config config, consensus::Membership membership) {
    if (membership.cluster != config.cluster)
        return error(Errc::refused, "the cluster file is not that of the client's folder");
    auto key = crypto::SigningKey::load(config.key_file);
    if (!key) return key.error();
    auto tls = crypto::make_tls_context(*key);
    if (!tls) return tls.error();
    std::unique_ptr<Admin> admin(
        new Admin(std::move(config), std::move(membership), std::move(*tls)));
    net::LinkOptions options;
    options.name = "admin";
    Admin* self = admin.get();
    admin->links_ = std::make_unique<net::Links>(
        admin->io_, *admin->tls_, options,
        net::LinkCallbacks{
            [self](ByteView peer) { return self->hosts_.by_key(peer).has_value(); },
            [self](ByteView peer, Bytes frame) { self->on_frame(peer, frame); },
            [self](ByteView peer) { self->up_.insert(to_bytes(peer)); },
            [self](ByteView peer, std::string_view) { self->up_.erase(to_bytes(peer)); }});
    for (const Host& host : admin->config_.hosts)
        if (auto dialled = admin->links_->dial(host.key, host.address); !dialled)
            return dialled.error();
    return admin;
}

void Admin::send(const std::vector<Endpoint>& to, const consensus::Payload& payload) {
    std::vector<Bytes> frames = wire::encode(Endpoint::of_client(config_.id), to, payload);
    for (std::size_t i = 0; i < to.size(); ++i)
        if (auto host = membership_.host_of(to[i]))
            if (const Bytes* key = hosts_.key_of(*host))
                links_->send(*key, std::make_shared<const Bytes>(std::move(frames[i])));
}

void Admin::ask() {
    const GroupId coordinators = *history_.newest().owner(PartitionId(0));
    send(membership_.replicas(coordinators), consensus::FetchConfig{history_.newest().version});
}

void Admin::on_frame(ByteView key, const Bytes& frame) {
    auto host = hosts_.by_key(key);
    auto message = wire::decode(frame);
    if (!host || !message) return;
    if (message->to != Endpoint::of_client(config_.id)) return;
    if (membership_.host_of(message->from) != host) return;
    note(*message);
}

void Admin::note(const consensus::Message& message) {
    const GroupId coordinators = *history_.newest().owner(PartitionId(0));
    const Position position(message.from.index);
    if (const auto* known = std::get_if<consensus::FetchConfig>(&message.payload)) {
        if (known->features > 0) features_[message.from] = known->features;
        if (known->version == history_.newest().version) up_to_date_.insert(message.from);
    }
    if (message.from.role != Endpoint::Role::replica) return;
    if (const auto* barrier = std::get_if<consensus::BarrierCertPtr>(&message.payload)) {
        if (!*barrier || (*barrier)->config->version <= history_.newest().version) return;
        if (!verifier_.verify(message) || !history_.skip_to(*barrier)) return;
        up_to_date_.clear();
        for (const Host& host : hosts_.follow(history_.newest()))
            if (auto dialled = links_->dial(host.key, host.address); !dialled)
                log::warn("host_not_dialled host={} what=\"{}\"", host.name, dialled.error().what);
        ask();
    } else if (message.from.group != coordinators) {
        return;
    } else if (const auto* rejected = std::get_if<consensus::Rejected>(&message.payload)) {
        refusals_[position] = rejected->text;
    }
}

template <class Condition>
bool Admin::wait(Duration patience, const std::function<void()>& again, Condition condition) {
    const TimePoint end = now() + patience;
    std::size_t linked = 0;
    for (TimePoint next{}; !condition();) {
        const TimePoint at = now();
        if (at >= end) return false;
        // Also when a link has come up since.
        if (at >= next || up_.size() > linked) {
            again();
            next = at + ask_every;
        }
        linked = up_.size();
        io_.restart();
        io_.run_one_for(std::min(next, end) - at);
    }
    return true;
}

std::size_t Admin::coordinators_up_to_date() const {
    const GroupId coordinators = *history_.newest().owner(PartitionId(0));
    return static_cast<std::size_t>(
        std::count_if(up_to_date_.begin(), up_to_date_.end(), [&](const Endpoint& each) {
            return each.role == Endpoint::Role::replica && each.group == coordinators &&
                   membership_.active(each.group, Position(each.index));
        }));
}

std::set<Endpoint> Admin::caught_up(const std::vector<Endpoint>& members, Duration patience) {
    std::set<Endpoint> found;
    up_to_date_.clear();
    wait(
        patience, [&] { send(members, consensus::FetchConfig{history_.newest().version}); },
        [&] {
            found.clear();
            for (const Endpoint& each : members)
                if (up_to_date_.contains(each)) found.insert(each);
            return found.size() == members.size();
        });
    return found;
}

Result<consensus::Configuration> Admin::current(Duration patience) {
    up_to_date_.clear();
    const bool known = wait(
        patience, [this] { ask(); },
        [this] { return coordinators_up_to_date() >= membership_.quorum(); });
    if (known) return history_.newest();
    return error(Errc::unavailable,
                 std::to_string(coordinators_up_to_date()) +
                     " of the f+1 = " + std::to_string(membership_.quorum()) +
                     " replicas that are needed said in time what is in force; " +
                     std::to_string(connected()) + " of " + std::to_string(config_.hosts.size()) +
                     " hosts are linked");
}

std::vector<Endpoint> Admin::members() const {
    consensus::Membership now = membership_;
    if (history_.changed()) consensus::follow(now, history_.newest());
    std::vector<Endpoint> all = now.all_primaries();
    for (const Endpoint& replica : now.all_replicas()) all.push_back(replica);
    return all;
}

std::map<Endpoint, std::uint64_t> Admin::features(Duration patience) {
    features_.clear();
    const std::vector<Endpoint> all = members();
    (void)wait(
        patience, [&] { send(all, consensus::FetchConfig{history_.newest().version}); },
        [&] { return features_.size() >= all.size(); });
    return features_;
}

Result<consensus::BarrierCertPtr> Admin::order(const consensus::Body& request, Duration patience) {
    auto change = consensus::decode_change(request->op);
    if (!change) return change.error();
    auto wanted = consensus::apply(history_.newest(), *change);
    if (!wanted) return wanted.error();
    refusals_.clear();
    std::vector<Endpoint> to = membership_.replicas(*history_.newest().owner(PartitionId(0)));
    for (const Endpoint& primary : membership_.all_primaries()) to.push_back(primary);
    const bool over = wait(
        patience,
        [&] {
            send(to, request);
            ask();
        },
        [&] {
            return history_.newest().version >= wanted->version ||
                   refusals_.size() >= membership_.quorum();
        });
    if (history_.newest().version >= wanted->version) {
        consensus::BarrierCertPtr barrier =
            history_.after(ConfigVersion(wanted->version.value - 1));
        if (same_change(*barrier->config, *wanted)) return barrier;
        return error(Errc::refused, "another change came first and made version " +
                                        std::to_string(wanted->version.value));
    }
    if (over) return error(Errc::refused, refusals_.begin()->second);
    return error(Errc::unavailable, "it was not in force in time, and may still come into force");
}

}  // namespace bft::client
