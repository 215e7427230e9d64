"""Every key of Streamlit's session state and every parameter of the app's links, in one place.

A link parameter that a widget is bound to is the widget's key in the session as well. Keys that only tell a
button, a figure or a gallery from others stand beside it.
"""

# -- chosen on every page: in the session and in the link --------------------------------------------

RUN = "run"  # name of the run
IMAGE = "image"  # id of the image
CLASS = "class"  # name of the class; absent where nobody chose one
FIND = "find"  # part of a file name that narrows the images

RUN_PATH = "run_path"  # session: folder of the run, None without any run
NARROWED = "narrowed"  # session: a filter was changed after the image was chosen
SLIDERS_OF = "sliders_of"  # session: slider -> folder of the run whose value it was last given

# -- Overview ----------------------------------------------------------------------------------------

OVERVIEW_SEEN = "overview_seen"  # session: how far the run was when the page was drawn
EXPORT_FORMAT = "export_format"  # session: the format that an export is made in
EXPORTED = "exported"  # session: (its temporary folder, what was exported, the zip file)

# -- CLIP bias and Labels ----------------------------------------------------------------------------

ENTROPY = "entropy"  # link: entropy threshold, nats
BIAS_PART = "bias_part"  # link: part of CLIP bias
LABELS_SHOW = "show"  # link: one image, or the whole data set
LABEL_PART = "label_part"  # link: part of Labels over the data set
ALL_CLASSES = "all"  # link: all classes of an image, not only the highest
ALPHA = "alpha"  # link: weight of the initial label
FLOOR = "floor"  # link: floor under probabilities
DEBIAS = "debias"  # link: whether labels are divided by the CLIP bias
COMPARE = "compare"  # link: what is compared class by class

# -- CAM boxes ---------------------------------------------------------------------------------------

AGREEMENT = "opinion"  # link: filter on CLIP and classifier agreeing
VERDICT = "verdict"  # link: filter on the classifier being right
ORDER = "order"  # link: order of the images
VIEWS = "views"  # link: fewest and most views of an image
LAYOUT = "layout"  # link: one image or a grid
BOX_CLASS = "of"  # link: class whose boxes are shown
CAM_THRESHOLD = "cam"  # link: CAM threshold
VIEW_THRESHOLD = "view"  # link: view threshold
OFFSET = "offset"  # link: offset, pixels of the frame
BOXES_SHOW = "show"  # link: letters of what is drawn over the image
MAPS = "maps"  # link: which classifier's maps
AS_SET = "as_set"  # link: ask CLIP about views as set, not as the run took them
METHODS = "methods"  # link: compare CAM methods

# -- View lab ----------------------------------------------------------------------------------------

SOURCE = "source"  # link: image of the data set, or an upload
LAB_UPLOAD = "lab_upload"  # session: the uploaded image
CROP = "crop"  # link: the crop, "x0, y0, x1, y1" as shares of the image
AROUND = "around"  # link: what the crop is swept around
DEBIASED = "debiased"  # link: probabilities after debiasing
HEAT = "heat"  # link: heat over the image
CLIP_QUERY = "clip_query"  # session: the `Query` about the image looked at last
CLIP_TOKEN = "clip_token"  # session: the token under which the browser polls
CLIP_SUBSCRIPTION = "clip_subscription"  # session: what the page wants to know from CLIP

# -- Results -----------------------------------------------------------------------------------------

PART = "part"  # link: part of the page
SPLIT = "split"  # link: validation or training images
BESIDE = "beside"  # link: runs to compare with
WITH_LABELS = "with_labels"  # link: AP of the final labels beside the classifier's
SORT = "sort"  # link: order of the classes
SMALL_CURVES = "small"  # link: small curves of all classes
CURVE_CLASSES = "pr"  # link: classes whose precision-recall curves are shown
CURVES_PAGE = "pr_page"  # link: page of the small curves
MISTAKE_KIND = "kind"  # link: wrongly predicted, or missed
MISTAKES_PAGE = "wrong_page"  # link: page of the most wrong images
CHOSEN_BY = "by"  # link: how thresholds are chosen
PER_CLASS = "each"  # link: a threshold for each class
PRECISION = "precision"  # link: least precision, percent
LABEL_RATE = "rate"  # link: labels an image
LIMIT_CLASS = "limit_class"  # link: class whose threshold is looked at
THRESHOLD = "threshold"  # link, also on Predict: one threshold for all classes
MARKED_IMAGE = "marked_image"  # session: (run, image) that the person went back to
MARK_MORE = "mark_more"  # session: how many images were marked when more were asked for
MARK_ERROR = "mark_error"  # session: why marks could not be kept
MOVED_THRESHOLDS = "moved_thresholds"  # session: (run, per class) -> thresholds moved by hand

# -- Predict -----------------------------------------------------------------------------------------

PREDICT_FROM = "from"  # link: uploads, or a folder
FOLDER = "folder"  # link: the folder
EXAMPLE = "example"  # link: image of the run's own data set to try
LIMITS = "limits"  # link: which thresholds
THRESHOLDS = "each"  # link: thresholds of classes that differ from the usual, "2:0.35,7:0.6"
FIND_CLASS = "find_class"  # session: part of a class's name that narrows the sliders
LABEL_FILTER = "show"  # link: label that images are filtered by
PREDICT_PAGE = "predict_page"  # link: page of the images
FILE = "file"  # link: the image shown large
UPLOADS_FOLDER = "uploads_folder"  # session: name of the folder of its uploads
UPLOADS_WRITTEN = "uploads_written"  # session: id of an upload -> its file

OWN_WORDS = "own_words"  # session, also on View lab: words that a teacher for photographs is asked with
OWN_TEACHER = "own_teacher"  # session, also on View lab: which teacher

# -- Compare -----------------------------------------------------------------------------------------

COMPARISON = "comparison"  # link: name of the comparison
COMPARE_PART = "compare_part"  # link: part of the page
MEASURE = "measure"  # link: mAP, micro-AP or F1
ROW_ORDER = "rows"  # link: order of the methods
AGAINST = "against"  # link: method that the others are subtracted from, class by class
CLASS_ORDER = "classes"  # link: order of the classes
MISSING_STARTED = "missing_started"  # session: a sentence on the runs that were started last

# -- Train -------------------------------------------------------------------------------------------

SETTINGS_FROM = "from"  # link: run whose settings the form begins with
SETTINGS_CHANGES = "set"  # link: changes to them, "labels.alpha=0.2;seed=1"
PRESET = "preset"  # link: preset that the form begins with
DATA = "data"  # link: data set
DATA_OF = "data_of"  # session: where the form's settings came from when the data set was last given
PLACE = "place"  # session: this machine or the cluster
NAMES_GIVEN = "names_given"  # session: how many runs were started; every one gets a new suggested name
JOB = "job"  # link: the run that is shown opened
JOBS_ACTIVE = "jobs_active"  # session: names of the runs at work when they were last looked at
ENDINGS = "endings"  # session: (name, status) of runs that have ended and are still to be announced
LAST_ENDING = "last_ending"  # session: the last ending, for the page's title
NAMES_ASKED = "names_asked"  # session: settings, words and answer of the last question about class names
NAMES_WANTED = "names_wanted"  # session: other words for classes that CLIP is to be asked with
NOTICE = "notice"  # session: a sentence to announce
DELETE = "delete"  # session: run that is to be deleted once the person agrees


def suggested_name(number: int) -> str:
    """session: the name suggested for the run started next."""
    return f"suggested_{number}"


def problems(origin: str) -> str:
    """session: setting -> what is wrong with it, of the form that began with `origin`."""
    return f"problems_{origin}"


def load_seen(run: str) -> str:
    """session: when the processor time of a run's processes was last read, and how much it was."""
    return f"load_{run}"


def class_threshold(run: str, index: int) -> str:
    """session: the threshold of one class, of one run."""
    return f"threshold {run} {index}"
