// The two languages. Emotions are named as in the library.

const TEXTS = {
  en: {
    skip: "Skip to content", photo: "Photo", live: "Live", video: "Video",
    compare: "Compare models", about: "About", language: "Language", theme: "Light or dark",
    dropPhotos: "Drop photos here, paste one, or", choosePhotos: "Choose photos",
    webcamShot: "Webcam shot", shoot: "Take the photo", hide: "Hide", nothing: "nothing",
    faces: "faces", eyes: "eyes", pixelate: "as blocks", head: "Head", defaultHead: "FER+ (default)", noLandmarks: "No landmarks",
    savePicture: "Save the annotated picture", saveJson: "Save JSON", start: "Start the webcam",
    stop: "Stop", mirror: "Mirror", rate: "{fps} frames/s, {ms} ms",
    livePrivacy: "Frames go to this server only; nothing is stored.",
    chooseClip: "Choose a clip", dropClip: "Drop a clip here, or",
    secondClip: "Compare with a second clip", dropOne: "Drop one photo here, or",
    choosePhoto: "Choose a photo", tokenNeeded: "This server needs a token", enter: "Enter",
    wrongToken: "The token is wrong.", noFace: "No face was found.", face: "Face {n}",
    lowQuality: "quality too low", uncertain: "uncertain", quality: "quality {q}",
    working: "Analysing {n} of {total} …", done: "{faces} faces in {ms} ms", doneOne: "1 face in {ms} ms", all: "all ({n})",
    leftOut: "{n} photos were left out: the gallery holds {max}. Reload the page to begin again.",
    noCamera: "The webcam cannot be used: {reason}", noStream: "The connection was closed ({reason}).",
    uploading: "Uploading, {percent} %", waiting: "Waiting for its turn …",
    analysing: "Analysing, {percent} %, {left} left", preparing: "Preparing …", cancel: "Cancel",
    timeline: "People over time: click a moment to jump there", moments: "Best moments",
    people: "People", downloads: "Download", remove: "Remove", person: "Person {n}",
    model: "Network {n}", detector: "Detector", defaultDetector: "default", agree: "Both see the same emotion in {same} of {n} faces.",
    attributes: "Perceived gender and age", looks: "looks {what}", attributeCard: "gender and age",
    seconds: "{s} s", failed: "Failed: {reason}", playHint: "The browser cannot play the annotated copy; this is the original.",
    aboutTitle: "What this shows, and what not",
    aboutText: [
      "fastfer finds faces and names the expression that they show, in seven classes, as a stranger would. It does not know what a person feels, thinks or intends.",
      "Do not use it to make decisions about people. In the European Union, emotion recognition at work and in education is prohibited (AI Act, Article 5).",
      "Six to seven of ten faces are labelled as in FER-2013, eight of ten correctly in press photos. Fear is found least. Faces below 20 pixels, turned by more than 45 degrees, covered or blurred are often missed or wrong.",
      "Old people, children and people with darker skin are under-represented in the training data.",
      "Perceived gender and age, if you tick the box, are how a face looks to strangers, not who a person is; children and old people are often wrong. fastfer never names a race.",
      "Pictures and frames go from this page to the server that it came from, and nowhere else. Photos and webcam frames are never written to a disk; clips and their results are removed after a while, or at once with Remove.",
    ],
    aboutCards: "Model cards", expressionCard: "expression network", detectorCard: "face detector",
    licence: "MIT licence. Interface for programs:", version: "Version {v}",
  },
  vi: {
    skip: "Chuyển đến nội dung", photo: "Ảnh", live: "Trực tiếp", video: "Video",
    compare: "So sánh mô hình", about: "Giới thiệu", language: "Ngôn ngữ", theme: "Giao diện sáng hoặc tối",
    dropPhotos: "Thả ảnh vào đây, dán một ảnh, hoặc", choosePhotos: "Chọn ảnh",
    webcamShot: "Chụp bằng webcam", shoot: "Chụp", hide: "Che", nothing: "không che",
    faces: "khuôn mặt", eyes: "mắt", pixelate: "bằng ô vuông", head: "Đầu ra", defaultHead: "FER+ (mặc định)", noLandmarks: "Ẩn điểm mốc",
    savePicture: "Lưu ảnh có chú thích", saveJson: "Lưu JSON", start: "Bật webcam",
    stop: "Dừng", mirror: "Lật ngang", rate: "{fps} khung hình/giây, {ms} ms",
    livePrivacy: "Khung hình chỉ gửi tới máy chủ này; không lưu gì cả.",
    chooseClip: "Chọn video", dropClip: "Thả video vào đây, hoặc",
    secondClip: "So sánh với video thứ hai", dropOne: "Thả một ảnh vào đây, hoặc",
    choosePhoto: "Chọn ảnh", tokenNeeded: "Máy chủ này cần mã truy cập", enter: "Vào",
    wrongToken: "Mã truy cập sai.", noFace: "Không tìm thấy khuôn mặt nào.", face: "Khuôn mặt {n}",
    lowQuality: "chất lượng quá thấp", uncertain: "không chắc chắn", quality: "chất lượng {q}",
    working: "Đang phân tích {n}/{total} …", done: "{faces} khuôn mặt trong {ms} ms", doneOne: "1 khuôn mặt trong {ms} ms", all: "tất cả ({n})",
    leftOut: "Đã bỏ qua {n} ảnh: thư viện chứa tối đa {max} ảnh. Tải lại trang để bắt đầu lại.",
    noCamera: "Không dùng được webcam: {reason}", noStream: "Kết nối đã đóng ({reason}).",
    uploading: "Đang tải lên, {percent} %", waiting: "Đang chờ đến lượt …",
    analysing: "Đang phân tích, {percent} %, còn {left}", preparing: "Đang chuẩn bị …", cancel: "Hủy",
    timeline: "Từng người theo thời gian: bấm vào một thời điểm để chuyển tới", moments: "Khoảnh khắc rõ nhất",
    people: "Người", downloads: "Tải về", remove: "Xóa", person: "Người {n}",
    model: "Mạng {n}", detector: "Bộ phát hiện", defaultDetector: "mặc định", agree: "Cả hai cho cùng một cảm xúc ở {same}/{n} khuôn mặt.",
    attributes: "Giới tính và tuổi theo vẻ ngoài", looks: "trông như {what}", attributeCard: "giới tính và tuổi",
    seconds: "{s} giây", failed: "Lỗi: {reason}", playHint: "Trình duyệt không phát được bản chú thích; đây là bản gốc.",
    aboutTitle: "Trang này cho biết gì và không cho biết gì",
    aboutText: [
      "fastfer tìm khuôn mặt và gọi tên biểu cảm mà khuôn mặt thể hiện, theo bảy lớp, như một người lạ nhìn vào. Nó không biết một người cảm thấy, nghĩ hay định làm gì.",
      "Đừng dùng nó để ra quyết định về con người. Tại Liên minh châu Âu, việc nhận dạng cảm xúc ở nơi làm việc và trong giáo dục bị cấm (Đạo luật AI, tức AI Act, Điều 5).",
      "Cứ mười khuôn mặt của FER-2013 thì sáu đến bảy được gán đúng nhãn của bộ dữ liệu, với ảnh báo chí là tám. Sợ hãi khó nhận ra nhất. Khuôn mặt nhỏ hơn 20 điểm ảnh, quay quá 45 độ, bị che hoặc bị mờ thường bị bỏ sót hay phân loại sai.",
      "Người già, trẻ em và người có làn da sẫm màu ít xuất hiện trong dữ liệu huấn luyện.",
      "Giới tính và tuổi theo vẻ ngoài, nếu bạn đánh dấu ô, cho biết khuôn mặt trông thế nào trong mắt người lạ, không phải người đó là ai; kết quả với trẻ em và người già hay sai. fastfer không bao giờ nêu chủng tộc.",
      "Ảnh và khung hình chỉ được gửi từ trang này tới máy chủ của nó, không gửi đi đâu khác. Ảnh và khung hình webcam không bao giờ được ghi xuống đĩa; video và kết quả được xóa sau một thời gian, hoặc xóa ngay bằng nút Xóa.",
    ],
    aboutCards: "Thẻ mô hình", expressionCard: "mạng biểu cảm", detectorCard: "bộ phát hiện khuôn mặt",
    licence: "Giấy phép MIT. Giao diện lập trình (API):", version: "Phiên bản {v}",
  },
};
export const NAMES = {
  en: { angry: "angry", disgust: "disgust", fear: "fear", happy: "happy", sad: "sad",
    surprise: "surprise", neutral: "neutral", contempt: "contempt" },
  vi: { angry: "Tức giận", disgust: "Ghê tởm", fear: "Sợ hãi", happy: "Vui vẻ", sad: "Buồn bã",
    surprise: "Ngạc nhiên", neutral: "Bình thường", contempt: "Khinh bỉ" },
};
// Of eight-class networks the labels show contempt, the bars the other seven.
export const EMOTIONS = Object.keys(NAMES.en).filter((name) => name !== "contempt");

// What went wrong, by its code. In English the server's own message says more.
const REASONS = {
  en: {
    insecure_page: "browsers allow it only on localhost and over HTTPS",
    webcam_forbidden: "it is not allowed for this page; allow it beside the address of the page",
    no_webcam: "none was found", webcam_busy: "another program uses it",
  },
  vi: {
    damaged: "tệp bị hỏng", truncated: "tệp bị thiếu phần cuối", empty_file: "tệp rỗng",
    unsupported_format: "định dạng này không được hỗ trợ", too_large: "tệp quá lớn",
    too_many_pixels: "ảnh có quá nhiều điểm ảnh", too_many_frames: "video có quá nhiều khung hình",
    too_many_bytes: "quá nhiều dữ liệu", too_much_memory: "cần quá nhiều bộ nhớ",
    too_slow: "mất quá nhiều thời gian", decoder_crashed: "bộ giải mã gặp lỗi với tệp này",
    decode_failed: "không giải mã được", no_frames: "video không có khung hình nào",
    no_pictures: "không có ảnh nào", busy: "máy chủ đang bận, hãy thử lại sau",
    unknown_job: "video này đã hết hạn trên máy chủ", upload_timeout: "tải lên quá chậm",
    forbidden: "máy chủ từ chối yêu cầu", unauthorized: "cần mã truy cập",
    disk_full: "ổ đĩa của máy chủ đã đầy", source_lost: "mất kết nối với máy chủ",
    cancelled: "đã hủy", insecure_page: "trình duyệt chỉ cho phép trên localhost và qua HTTPS",
    webcam_forbidden: "trình duyệt không cho phép trang này; hãy cho phép ở cạnh địa chỉ trang",
    no_webcam: "không tìm thấy webcam nào", webcam_busy: "một chương trình khác đang dùng webcam",
  },
};

const listeners = [];
let current = "en";

export const language = () => current;
export const nameOf = (emotion) => (emotion ? NAMES[current][emotion] : "?");

export function text(key, values = {}) {
  return TEXTS[current][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export const reasonOf = (error) => REASONS[current][error.code] ?? error.message;

export const paragraphs = () => TEXTS[current].aboutText;

export function onLanguage(listener) {
  listeners.push(listener);
}

export function setLanguage(value) {
  current = value in TEXTS ? value : "en";
  document.documentElement.lang = current;
  for (const node of document.querySelectorAll("[data-i18n]")) {
    node.textContent = text(node.dataset.i18n);
  }
  for (const node of document.querySelectorAll("[data-i18n-label]")) {
    node.setAttribute("aria-label", text(node.dataset.i18nLabel));
    node.title = text(node.dataset.i18nLabel);
  }
  for (const listener of listeners) listener();
}
