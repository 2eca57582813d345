package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxReview bounds a review: it holds an object twice, and the API server
// takes objects of 3 MiB.
const maxReview = 8 << 20

// Decision answers a request. An error is a failure of the server, not a verdict.
type Decision func(r *http.Request, request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error)

// BadRequestError marks a review whose object is no ProwJob; it is answered 400.
type BadRequestError struct{ Err error }

func (e *BadRequestError) Error() string { return e.Err.Error() }
func (e *BadRequestError) Unwrap() error { return e.Err }

// Handler answers admission reviews with decisions, in the version in which
// they were asked. What is no review is answered 400, what cannot be decided 500.
func Handler(decide Decision, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "only POST", http.StatusMethodNotAllowed)
			return
		}
		review, err := read(w, r)
		if err != nil {
			log.WarnContext(r.Context(), "not an admission review", "error", err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		response, err := decide(r, review.Request)
		if err != nil {
			log.ErrorContext(r.Context(), "a ProwJob was not judged", "namespace", review.Request.Namespace, "name", review.Request.Name, "error", err)
			code := http.StatusInternalServerError
			if _, bad := errors.AsType[*BadRequestError](err); bad {
				code = http.StatusBadRequest
			}
			http.Error(w, err.Error(), code)
			return
		}
		if !response.Allowed {
			log.InfoContext(r.Context(), "refused", "namespace", review.Request.Namespace, "name", review.Request.Name,
				"operation", review.Request.Operation, "user", review.Request.UserInfo.Username, "reason", response.Result.Message)
		}
		response.UID = review.Request.UID
		answer, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}

func read(w http.ResponseWriter, r *http.Request) (*admissionv1.AdmissionReview, error) {
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return nil, fmt.Errorf("the content type is %q, not application/json", got)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
	if err != nil {
		return nil, fmt.Errorf("read the review: %w", err)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		return nil, fmt.Errorf("decode the review: %w", err)
	}
	if v := review.APIVersion; v != "admission.k8s.io/v1" && v != "admission.k8s.io/v1beta1" || review.Kind != "AdmissionReview" {
		return nil, fmt.Errorf("found %s %s, expected an AdmissionReview of admission.k8s.io/v1 or v1beta1", review.APIVersion, review.Kind)
	}
	if review.Request == nil || review.Request.UID == "" {
		return nil, errors.New("the review has no request with a uid")
	}
	return &review, nil
}

// Allow lets a request pass.
func Allow() *admissionv1.AdmissionResponse { return &admissionv1.AdmissionResponse{Allowed: true} }

// Deny refuses a request.
func Deny(reason metav1.StatusReason, message string) *admissionv1.AdmissionResponse {
	code := int32(http.StatusForbidden)
	if reason == metav1.StatusReasonBadRequest {
		code = http.StatusBadRequest
	}
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{Status: metav1.StatusFailure, Reason: reason, Code: code, Message: message}}
}
