# Whether a lock file pins nixpkgs as it must: `true`, or an error that says what is wrong. Nix itself
# accepts a hash that no file can have.
lockFile:
let
  lock = builtins.fromJSON (builtins.readFile lockFile);
  inherit (lock.nodes.nixpkgs) locked original;
  matches = pattern: text: builtins.match pattern text != null;
  rules = [
    {
      holds = lock.nodes.root.inputs == { nixpkgs = "nixpkgs"; };
      says = "nixpkgs is the only input";
    }
    {
      holds = matches "nixos-[0-9]{2}\\.[0-9]{2}" original.ref;
      says = "nixpkgs follows a release, nixos-YY.MM";
    }
    {
      holds =
        original // { ref = ""; } == {
          owner = "NixOS";
          ref = "";
          repo = "nixpkgs";
          type = "github";
        };
      says = "nixpkgs is github:NixOS/nixpkgs";
    }
    {
      holds = builtins.all (name: locked.${name} == original.${name}) [
        "owner"
        "repo"
        "type"
      ];
      says = "what is locked is what is asked for";
    }
    {
      holds = matches "[0-9a-f]{40}" locked.rev;
      says = "rev is a whole commit hash";
    }
    {
      # 32 bytes: of the last character, only four bits are free.
      holds = matches "sha256-[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=" locked.narHash;
      says = "narHash is a sha256 in base 64";
    }
    {
      holds = builtins.isInt locked.lastModified;
      says = "lastModified is a number";
    }
  ];
  broken = builtins.filter (rule: !rule.holds) rules;
in
if broken == [ ] then true else throw "flake.lock breaks a rule: ${(builtins.head broken).says}"
