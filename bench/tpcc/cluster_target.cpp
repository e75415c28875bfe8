#include "target.hpp"

namespace bft::tpcc {

namespace {

class ClusterTarget final : public CallTarget {
public:
    explicit ClusterTarget(std::unique_ptr<bftnode::Client> client) : client_(std::move(client)) {}

    void call(std::size_t, std::string_view procedure, std::vector<bftnode::Value> args,
              bftnode::Callback done) override {
        client_->call(procedure, std::move(args), std::move(done));
    }
    std::optional<bftnode::Statistics> statistics() const override { return client_->statistics(); }

private:
    std::unique_ptr<bftnode::Client> client_;
};

constexpr std::chrono::seconds connect_patience(20);

}  // namespace

Result<std::unique_ptr<CallTarget>> open_cluster(const std::string& config) {
    try {
        auto client = bftnode::Client::open(config);
        if (!client->wait_connected(connect_patience))
            return error(Errc::unavailable, "fewer than f+1 hosts answer: is the cluster running?");
        return std::unique_ptr<CallTarget>(std::make_unique<ClusterTarget>(std::move(client)));
    } catch (const bftnode::OpenError& failure) {
        return error(Errc::refused, failure.what());
    }
}

}  // namespace bft::tpcc
