#include "roles/usig_service.hpp"

#include "base/log.hpp"
#include "usig/software_usig.hpp"
#include "usig/tpm2.hpp"

namespace bft::roles {

namespace {

constexpr std::string_view software_prefix = "software:";

Result<std::unique_ptr<usig::Backend>> open_backend(const UsigServiceOptions& options) {
    if (options.tcti.starts_with(software_prefix)) {
        if (!options.allow_software)
            return error(Errc::refused,
                         "tcti = \"" + options.tcti +
                             "\" is no TPM: whoever breaks into this host can forge its "
                             "certificates. For trials only, say --insecure-software-usig");
        std::filesystem::path file = options.tcti.substr(software_prefix.size());
        auto software = usig::SoftwareUsig::open(options.folder / file, options.identities);
        if (!software) return software.error();
        return std::unique_ptr<usig::Backend>(std::move(*software));
    }
    auto secrets = usig::TpmSecrets::load(options.secrets);
    if (!secrets) return secrets.error();
    auto tpm = usig::Tpm2::open({options.tcti, *secrets, {}}, options.identities);
    if (!tpm) return tpm.error();
    return std::unique_ptr<usig::Backend>(std::move(*tpm));
}

}  // namespace

Result<std::unique_ptr<UsigServiceRole>> UsigServiceRole::open(
    boost::asio::io_context& loop, const UsigServiceOptions& options,
    std::function<void(const Error&)> failed) {
    auto tokens = usig::protocol::load_tokens(options.tokens);
    if (!tokens) return tokens.error();
    auto journal = usig::FileJournal::open(options.journal);
    if (!journal) return journal.error();
    auto backend = open_backend(options);
    if (!backend) return backend.error();

    usig::Service::Options service_options;
    service_options.socket = options.socket;
    service_options.tokens = std::move(*tokens);
    service_options.tpm_delay = options.tpm_delay;
    auto service = usig::Service::start(loop, std::move(service_options), std::move(*backend),
                                        std::move(*journal), std::move(failed));
    if (!service) return service.error();
    for (const auto& [identity, trouble] : (*service)->troubles())
        log::error("counter_unusable identity={} what=\"{}\"", identity.value, trouble.what);
    log::info("usig_ready counters={} tcti={} socket={}", options.identities.size(), options.tcti,
              options.socket.string());
    return std::unique_ptr<UsigServiceRole>(new UsigServiceRole(std::move(*service)));
}

}  // namespace bft::roles
