package v1

// FullDecorationForTest lets tests outside of the package use the config that sets every field.
var FullDecorationForTest = fullDecoration
