#include "host/engine_host.hpp"

#include "base/invariant.hpp"

#include <algorithm>

namespace bft::host {

using consensus::Output;

EngineHost::EngineHost(boost::asio::io_context& loop, const Clock& clock, consensus::Engine& engine,
                       consensus::Endpoint self, UsigId usig, usig::Certifier& certifier,
                       RecordSink& log, EngineHostHooks hooks)
    : clock_(clock),
      engine_(engine),
      self_(self),
      usig_(usig),
      certifier_(certifier),
      log_(log),
      hooks_(std::move(hooks)),
      ticker_(loop, clock, [this] { due(); }),
      retry_(loop),
      watch_(loop) {}

EngineHost::~EngineHost() {
    *alive_ = false;
}

void EngineHost::start() {
    pump();
    engine_.tick(clock_.now());
    pump();
}

void EngineHost::receive(const consensus::Verified& message, consensus::Now now) {
    engine_.receive(message, now);
    pump();
}

// What an output persists is queued for the disk at once, so that the records of several outputs
// share a sync; what it shows to others waits its turn.
void EngineHost::pump() {
    Output output = engine_.take_output();
    if (hooks_.advanced) hooks_.advanced();
    if (!output.empty()) {
        auto queued = std::make_shared<Queued>();
        bool must_wait = std::any_of(output.persist.begin(), output.persist.end(),
                                     [](const consensus::Persist& p) { return p.durable; });
        std::vector<consensus::Persist> records = std::move(output.persist);
        output.persist.clear();
        queued->output = std::move(output);
        queued->durable = !must_wait;
        outputs_.push_back(queued);
        std::function<void()> durable;
        if (must_wait)
            durable = [this, alive = alive_, queued] {
                if (!*alive) return;
                queued->durable = true;
                drain();
            };
        if (!records.empty()) log_.append(self_, std::move(records), std::move(durable));
    }
    drain();
    ticker_.arm(engine_.next_deadline());
}

void EngineHost::drain() {
    if (draining_) return;  // an effect below led back here: the loop below goes on
    draining_ = true;
    while (!outputs_.empty() && outputs_.front()->durable) {
        auto next = std::move(outputs_.front());
        outputs_.pop_front();
        perform(std::move(next->output));
    }
    draining_ = false;
}

void EngineHost::perform(Output output) {
    if (output.voided) forsake(*output.voided);
    if (output.seal) {
        watch();
        sealing_since_ = clock_.mono();
        seal(*output.seal);
    }
    for (consensus::Send& send : output.send) hooks_.transmit(self_, std::move(send));
    if (hooks_.delivered)
        for (const consensus::Delivery& delivery : output.deliver)
            hooks_.delivered(self_, delivery);
    if (hooks_.answered)
        for (const consensus::Reply& reply : output.answered) hooks_.answered(self_, reply);
    for (const consensus::Event& event : output.events) hooks_.event(self_, event);
}

void EngineHost::seal(const consensus::Draft& draft) {
    certifier_.create(usig_, draft.digest, [this, alive = alive_, draft](Result<consensus::Ui> ui) {
        if (!*alive) return;
        if (ui) return sealed(std::move(*ui));
        if (ui.error().code == Errc::unavailable)
            later([this, draft] { ask_last(draft); });
        else if (ui.error().code == Errc::exhausted)
            later([this, draft] { seal(draft); });
        else
            hooks_.fatal(ui.error());
    });
}

// T1v. A draft that follows waits in the counter's queue behind this.
void EngineHost::forsake(Counter cv) {
    certifier_.forsake(usig_, cv, [this, alive = alive_, cv](const Result<usig::Standing>& done) {
        if (!*alive || done) return;
        if (done.error().code == Errc::refused) return hooks_.fatal(done.error());
        later([this, cv] { forsake(cv); });
    });
}

void EngineHost::sealed(consensus::Ui ui) {
    watch_.cancel();
    consensus::Now now = clock_.now();
    if (hooks_.stages != nullptr) hooks_.stages->add(Stage::sign, now.mono - sealing_since_);
    engine_.sealed(std::move(ui), now);
    pump();
}

// The service went away with our draft: the value may have been spent on it. No other draft has
// this digest, so the last certificate tells (T0, T1).
void EngineHost::ask_last(const consensus::Draft& draft) {
    certifier_.last(usig_, [this, alive = alive_, draft](const Result<usig::Standing>& found) {
        if (!*alive) return;
        if (!found && found.error().code == Errc::refused) return hooks_.fatal(found.error());
        if (!found) return later([this, draft] { ask_last(draft); });
        if (found->hole)
            return hooks_.fatal(error(Errc::refused,
                                      "the TPM lost power in the middle of a certificate; "
                                      "this role must restart, and has the value voided"));
        if (found->last && found->last->digest == draft.digest) return sealed(found->last->ui);
        seal(draft);
    });
}

void EngineHost::watch() {
    if (!hooks_.counter_away) return;
    watch_.expires_after(hooks_.counter_patience);
    watch_.async_wait([this, alive = alive_](const boost::system::error_code& e) {
        if (e || !*alive) return;
        hooks_.counter_away();
        pump();
    });
}

void EngineHost::later(std::function<void()> what) {
    retry_.expires_after(100ms);
    retry_.async_wait([alive = alive_, what = std::move(what)](const boost::system::error_code& e) {
        if (!e && *alive) what();
    });
}

void EngineHost::due() {
    consensus::Now now = clock_.now();
    auto deadline = engine_.next_deadline();
    if (deadline && *deadline <= now.mono) engine_.tick(now);
    pump();
}

}  // namespace bft::host
