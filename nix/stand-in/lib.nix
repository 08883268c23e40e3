# Of nixpkgs' lib, what the flake uses. Something else that it comes to use is added here.
rec {
  genAttrs =
    names: f:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );
  versionAtLeast = version: least: builtins.compareVersions version least >= 0;
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  optionalAttrs = condition: attributes: if condition then attributes else { };
  optionalString = condition: text: if condition then text else "";
  makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
  # Not nixpkgs': the words of a text.
  words = text: builtins.filter builtins.isString (builtins.split " " text);
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  licenses.mit.spdxId = "MIT";
}
