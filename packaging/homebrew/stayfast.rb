# For a tap or homebrew-core. `make release` fills in the values between @ signs, the resources included.
class Stayfast < Formula
  include Language::Python::Virtualenv

  desc "OAuth sign-in for command-line programs that survives Ctrl-C and crashes"
  homepage "@HOMEPAGE@"
  url "@SDIST@"
  sha256 "@SHA256@"
  license "Apache-2.0"

  depends_on "certifi" => :no_linkage
  depends_on "cryptography" => :no_linkage
  depends_on "python@3.13"

  @RESOURCES@

  def install
    virtualenv_install_with_resources
    man1.install Dir["docs/man/*.1"]
    generate_completions_from_executable(bin/"stayfast", "completion")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/stayfast --version")
    assert_match "awaiting_callback", shell_output("#{bin}/stayfast diagram")
    # nobody is signed in: status 4
    assert_empty shell_output("#{bin}/stayfast token github 2>/dev/null", 4)
  end
end
