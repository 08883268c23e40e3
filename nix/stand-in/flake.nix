{
  description = "Stands in for nixpkgs where there is no network: its attributes, with the host's programs";

  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ] (system: import ./packages.nix { inherit lib system; });
      # What a shell has that asks for nothing: the rest is a flake's own doing.
      devShells = builtins.mapAttrs (_: pkgs: {
        empty = pkgs.mkShell { name = "empty"; };
      }) self.legacyPackages;
    };
}
