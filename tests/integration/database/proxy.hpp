// Between the executor and its server: cuts connections around COMMIT, where only the tables can
// tell what became of a batch.
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace bft::database::testing {

class CuttingProxy {
public:
    enum class Cut : std::uint8_t { before, after };

    /// Listens at `socket` and forwards to `server`. Every third packet with a COMMIT is lost
    /// (`before` it reaches the server), or its answer is (`after` the server has committed).
    CuttingProxy(std::string socket, std::string server, Cut cut);
    ~CuttingProxy();
    CuttingProxy(const CuttingProxy&) = delete;
    CuttingProxy& operator=(const CuttingProxy&) = delete;

    [[nodiscard]] unsigned cuts() const { return cuts_; }

private:
    void accept_all();
    void forward(int client);
    /// False: this connection is to be cut.
    bool pass_request(int client, int server);

    std::string server_path_;
    Cut cut_;
    int listener_ = -1;
    std::atomic<bool> stop_{false};
    std::atomic<unsigned> commits_{0};
    std::atomic<unsigned> cuts_{0};
    std::thread thread_;
};

}  // namespace bft::database::testing
